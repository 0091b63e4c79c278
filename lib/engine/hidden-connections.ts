import type { ResolvedOptions } from './options.js';

/** The same options, whose connections, and so whose passwords, are in no copy, dump or log of them; who asks for one still gets it. */
export function withHiddenConnections(options: ResolvedOptions): ResolvedOptions {
  return hidden({ ...options, listen: hidden({ ...options.listen }) });
}

function hidden<Options extends { readonly connection?: unknown }>(options: Options): Options {
  if (options.connection === undefined) return Object.freeze(options);
  return Object.freeze(Object.defineProperty(options, 'connection', { enumerable: false }));
}
