import { JsonWriter } from './json-writer.js';
import type { EncodeLimits } from './json-writer.js';

/**
 * The JSON text of a payload, which reads back as the same value or is refused: `undefined`, functions, symbols, BigInt,
 * NaN, Infinity, -0, class instances, Map, Set, binary data, sparse arrays, cycles, NUL, lone surrogates, and keys that
 * pollute prototypes. Values with `toJSON` are written as what it answers. `undefined` as the whole payload is `{}`.
 *
 * @throws InvalidPayloadError naming the path, never the value
 * @throws PayloadTooLargeError before more than the limit has been built
 */
export function encodeJson(value: unknown, limits: EncodeLimits): string {
  return value === undefined ? '{}' : new JsonWriter(limits).write(value);
}

/** Whether JSON text may hold keys that {@link safePayload} removes. False for nearly every payload, and cheap. */
export function mayPollute(text: string): boolean {
  // A key may be written with escapes; jsonb has none for letters, text of other origin may.
  return text.includes('__proto__') || text.includes('"constructor"') || text.includes('\\u');
}

/** The value of JSON text that is stored, without keys that pollute prototypes. */
export function decodeJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return mayPollute(text) ? safePayload(value) : value;
}

/**
 * Removes keys that would change a prototype once the payload is merged into something: own `__proto__` at any depth, and
 * `prototype` below `constructor`. Payloads encoded here have neither; those of other producers, plain SQL among them, may.
 * Changes a value that `JSON.parse` has just made, and returns it.
 */
export function safePayload(value: unknown): unknown {
  // A list and no recursion: PostgreSQL stores nesting that would overflow the stack.
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const current = pending.pop();
    if (typeof current !== 'object' || current === null) continue;
    if (!Array.isArray(current)) removePollution(current as Record<string, unknown>);
    for (const child of Object.values(current)) pending.push(child);
  }
  return value;
}

function removePollution(record: Record<string, unknown>): void {
  if (Object.hasOwn(record, '__proto__')) delete record['__proto__'];
  if (!Object.hasOwn(record, 'constructor')) return;
  const inner = record['constructor'];
  if (typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'prototype')) {
    delete (inner as Record<string, unknown>)['prototype'];
  }
}
