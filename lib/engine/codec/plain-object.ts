import { types } from 'node:util';

/**
 * Whether an array or object is nothing but its elements or keys: made by a literal, also in another realm (`vm`), or
 * an object without a prototype.
 */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) ? isArrayPrototype(prototype) : isObjectPrototype(prototype);
}

/** Whether it has enumerable symbols as keys, which JSON drops. */
export function hasSymbolKeys(value: object): boolean {
  const symbols = Object.getOwnPropertySymbols(value);
  return symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol));
}

/** Why a built-in object that is not plain is no JSON; `undefined` for instances of other classes. */
export function builtInProblem(value: object): string | undefined {
  if (types.isMap(value)) return 'a Map is not JSON; send Object.fromEntries(map), or [...map]';
  if (types.isSet(value)) return 'a Set is not JSON; send [...set]';
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value))
    return 'binary data is not JSON; send it as base64 text';
  if (types.isPromise(value)) return 'a Promise is not JSON; await it first';
  if (types.isBoxedPrimitive(value)) return 'a boxed primitive is not JSON; send the value in it';
  if (types.isRegExp(value)) return 'a RegExp is not JSON; send its source';
  if (types.isNativeError(value)) return 'an Error is not JSON; send its message';
  if (types.isDate(value)) return 'a Date without toJSON is not JSON; send date.toISOString()';
  return undefined;
}

/** Why an instance of a class is no JSON. */
export function instanceProblem(value: object): string {
  return `${described(Object.getPrototypeOf(value))} is not JSON; send a plain object, or give it a toJSON method`;
}

function isObjectPrototype(prototype: unknown): boolean {
  return (
    prototype === Object.prototype || prototype === null || isForeignObjectPrototype(prototype as object)
  );
}

/** `Object.prototype` of another realm: the end of a chain, with the methods that every one has. */
function isForeignObjectPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/** `Array.prototype` is itself an array, in every realm; the prototype of a subclass is not. */
function isArrayPrototype(prototype: unknown): boolean {
  if (prototype === Array.prototype) return true;
  if (!Array.isArray(prototype)) return false;
  const above: unknown = Object.getPrototypeOf(prototype);
  return above !== null && isObjectPrototype(above);
}

function described(prototype: unknown): string {
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  const name: unknown = typeof constructor === 'function' ? constructor.name : undefined;
  return typeof name === 'string' && name !== ''
    ? `an instance of ${name.slice(0, 64)}`
    : 'an object with a prototype of its own';
}
