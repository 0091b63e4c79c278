/**
 * Resolves Nest as if this folder had asked for it.
 * @type {import('node:module').ResolveHook}
 */
export function resolve(specifier, context, next) {
  const ofNest = specifier.startsWith('@nestjs/');
  return next(specifier, ofNest ? { ...context, parentURL: import.meta.url } : context);
}
