import { isDeepStrictEqual, types } from 'node:util';
import { InvalidPayloadError, PayloadTooLargeError } from '../errors.js';
import { payloadPath } from './payload-path.js';
import { builtInProblem, hasSymbolKeys, instanceProblem, isPlain } from './plain-object.js';
import { storageProblem } from './stored-text.js';

/** What a payload may cost, and be. */
export interface EncodeLimits {
  /** Of UTF-8, of the whole text. */
  readonly maxBytes: number;
  /** How deep arrays and objects may be nested. @default 512 */
  readonly maxDepth?: number;
  /**
   * Instances of classes are written as their enumerable keys, without those that are `undefined`: for payloads that a
   * schema or DTO class has validated. @default false: refused
   */
  readonly instances?: boolean;
}

/** Below the nesting at which PostgreSQL and `JSON.stringify` give up, and beyond any payload with a meaning. */
export const DEFAULT_MAX_DEPTH = 512;

/** Text is gathered in pieces of this many characters: a rope of a million concatenations takes 30 times its text. */
const CHUNK_LENGTH = 16_384;

/** Above this, asking an array for its keys costs more than comparing it with a copy: every index would become a string. */
const MANY_ELEMENTS = 64;

/** Strings without these are their own JSON text. */
const NEEDS_CARE = /["\\\u0000-\u001f\ud800-\udfff]/;

/**
 * Writes one value as JSON and refuses whatever would not come back the same.
 *
 * Everything is read exactly once, checked and written in the same step. What was checked is therefore what is written,
 * also when a getter, a proxy or a `toJSON` answers differently every time.
 */
export class JsonWriter {
  readonly #maxBytes: number;
  readonly #maxDepth: number;
  readonly #instances: boolean;
  /** Keys from the payload to the value at hand, and the arrays and objects they belong to; valid up to `#depth`. */
  readonly #keys: (string | number)[] = [];
  readonly #parents: object[] = [];
  #depth = 0;
  #written = '';
  #writtenBytes = 0;
  #chunk = '';
  /** What this writer threw itself: everything else comes from code of the payload. */
  #thrown: unknown;

  constructor(limits: EncodeLimits) {
    this.#maxBytes = limits.maxBytes;
    this.#maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#instances = limits.instances ?? false;
  }

  /** @throws InvalidPayloadError | PayloadTooLargeError */
  write(value: unknown): string {
    try {
      this.#value(value, '');
    } catch (error) {
      throw error === this.#thrown ? error : this.#blame(error);
    }
    this.#flush();
    return this.#written;
  }

  #value(value: unknown, key: string | number): void {
    switch (typeof value) {
      case 'string':
        return this.#append(this.#quoted(value));
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#append(value ? 'true' : 'false');
      case 'object':
        return value === null ? this.#append('null') : this.#object(value, key);
      case 'undefined':
        throw this.#invalid('undefined is not JSON; leave the key out, or use null');
      case 'bigint':
        throw this.#invalid('a BigInt is not JSON; send it as a string');
      case 'function':
      case 'symbol':
        throw this.#invalid(`a ${typeof value} is not JSON`);
    }
  }

  #quoted(text: string): string {
    this.#reserve(text.length + 2);
    return NEEDS_CARE.test(text) ? this.#escaped(text) : `"${text}"`;
  }

  #escaped(text: string): string {
    const problem = storageProblem(text);
    if (problem !== undefined) throw this.#invalid(problem);
    return JSON.stringify(text);
  }

  #number(value: number): void {
    if (!Number.isFinite(value)) throw this.#invalid(`${value} is not JSON`);
    if (Object.is(value, -0)) throw this.#invalid('JSON does not keep -0; use 0');
    this.#append(String(value));
  }

  #object(value: object, key: string | number): void {
    const toJson: unknown = (value as { toJSON?: unknown }).toJSON;
    if (typeof toJson === 'function') return this.#converted(value, toJson as () => unknown, key);
    this.#container(value);
  }

  /** The answer of a `toJSON` is written as it is: JSON asks no second time, and nor do we. */
  #converted(value: object, toJson: (key: string) => unknown, key: string | number): void {
    const problem = conversionProblem(value);
    if (problem !== undefined) throw this.#invalid(problem);
    const answer = toJson.call(value, String(key));
    if (typeof answer === 'object' && answer !== null) this.#container(answer);
    else this.#value(answer, key);
  }

  #container(value: object): void {
    if (Array.isArray(value)) this.#array(value);
    else this.#record(value);
  }

  #array(array: readonly unknown[]): void {
    this.#assertPlain(array);
    this.#enter(array);
    for (let index = 0; index < array.length; index += 1) {
      this.#keys[this.#depth - 1] = index;
      this.#append(index === 0 ? '[' : ',');
      const item = array[index];
      if (item === undefined && !(index in array)) throw this.#invalid('the array has a hole here; use null');
      this.#value(item, index);
    }
    this.#leave();
    if (hasMoreThanElements(array))
      throw this.#invalid('the array has keys that are no elements; JSON drops them');
    this.#append(array.length === 0 ? '[]' : ']');
  }

  #record(record: object): void {
    const isInstance = !this.#assertPlain(record);
    const keys = Object.keys(record);
    this.#enter(record);
    let lead = '{';
    for (const key of keys) {
      this.#keys[this.#depth - 1] = key;
      const value = (record as Record<string, unknown>)[key];
      // The fields that a class declares are there before they have a value.
      if (isInstance && value === undefined) continue;
      this.#key(key, lead);
      this.#value(value, key);
      lead = ',';
    }
    this.#leave();
    this.#append(lead === '{' ? '{}' : '}');
  }

  #key(key: string, lead: string): void {
    if (key === '__proto__')
      throw this.#invalid('the key "__proto__" changes prototypes where objects are merged');
    if (key === 'prototype' && this.#isBelowConstructor()) {
      throw this.#invalid('the keys "constructor.prototype" change prototypes where objects are merged');
    }
    this.#append(`${lead}${this.#quoted(key)}:`);
  }

  #isBelowConstructor(): boolean {
    return this.#depth > 1 && this.#keys[this.#depth - 2] === 'constructor';
  }

  /** False for the instance of a class where those are accepted. */
  #assertPlain(value: object): boolean {
    if (hasSymbolKeys(value)) throw this.#invalid('it has a symbol as key; JSON drops those');
    if (isPlain(value)) return true;
    const problem = builtInProblem(value) ?? (this.#instances ? undefined : instanceProblem(value));
    if (problem !== undefined) throw this.#invalid(problem);
    return false;
  }

  #enter(value: object): void {
    if (this.#depth >= this.#maxDepth) throw this.#invalid(`nested deeper than ${this.#maxDepth} levels`);
    for (let level = 0; level < this.#depth; level += 1) {
      if (this.#parents[level] === value) throw this.#invalid('it refers back to what contains it (a cycle)');
    }
    this.#parents[this.#depth] = value;
    this.#depth += 1;
  }

  #leave(): void {
    this.#depth -= 1;
  }

  #append(text: string): void {
    this.#chunk += text;
    if (this.#chunk.length >= CHUNK_LENGTH) this.#flush();
  }

  #flush(): void {
    this.#writtenBytes += Buffer.byteLength(this.#chunk);
    this.#written += this.#chunk;
    this.#chunk = '';
    if (this.#writtenBytes > this.#maxBytes) throw this.#tooLarge(this.#writtenBytes);
  }

  /** A huge string is refused before it is copied: a character takes a byte at least. */
  #reserve(length: number): void {
    const bytes = this.#writtenBytes + this.#chunk.length + length;
    if (bytes > this.#maxBytes) throw this.#tooLarge(bytes);
  }

  #invalid(reason: string): unknown {
    return (this.#thrown = new InvalidPayloadError(payloadPath(this.#keys.slice(0, this.#depth)), reason));
  }

  #tooLarge(bytes: number): unknown {
    return (this.#thrown = new PayloadTooLargeError(bytes, this.#maxBytes));
  }

  /** A getter, a proxy or a `toJSON` threw; what it threw may hold anything, so it is the cause and not the message. */
  #blame(cause: unknown): InvalidPayloadError {
    const path = payloadPath(this.#keys.slice(0, this.#depth));
    return new InvalidPayloadError(path, 'reading it threw an error (a getter, a proxy or a toJSON)', {
      cause,
    });
  }
}

/** These have a `toJSON`, and lose data by it. */
function conversionProblem(value: object): string | undefined {
  if (ArrayBuffer.isView(value)) return 'binary data is not JSON; send it as base64 text';
  if (types.isDate(value) && Number.isNaN(Date.prototype.getTime.call(value))) return 'the Date is invalid';
  return undefined;
}

/** Whether an array has enumerable keys besides its indices. */
function hasMoreThanElements(array: readonly unknown[]): boolean {
  const foreign = Object.getPrototypeOf(array) !== Array.prototype;
  if (foreign || array.length <= MANY_ELEMENTS) return Object.keys(array).length !== array.length;
  // Compares such keys first, and then only identical elements.
  return !isDeepStrictEqual(array, [...array]);
}
