import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeJson, mayPollute, safePayload } from '../../lib/engine/codec/json-codec.js';
import { InvalidPayloadError, PayloadTooLargeError } from '../../lib/engine/errors.js';
import { thrownBy } from '../support/thrown-by.js';

const UNLIMITED = { maxBytes: 67_108_864 };

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', '0'));
const key = fc
  .oneof(text, fc.constantFrom('', 'a', 'a b', '0', '$_', 'constructor', 'toString'))
  .filter((name) => name !== '__proto__' && name !== 'prototype');
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const leaf = fc.oneof(text, number, fc.integer(), fc.boolean(), fc.constant(null));

const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('json'), { maxLength: 5 }),
    fc.dictionary(key, tie('json'), { maxKeys: 5 }),
  ),
}));

interface Poisoned {
  readonly value: unknown;
  readonly keys: readonly (string | number)[];
}

const POISON = [
  undefined,
  NaN,
  Infinity,
  -0,
  5n,
  Symbol('x'),
  () => 1,
  'a\0',
  '\ud83d',
  new Date(NaN),
  new Map(),
  new Set(),
  Buffer.from('x'),
  new Uint8Array(1),
  new String('x'),
  /x/,
  new Error('x'),
  Promise.resolve(),
  new (class Custom {})(),
  { [Symbol('x')]: 1 },
];

const poison = fc.constantFrom(...POISON).map((value): Poisoned => ({ value, keys: [] }));

const inArray = (inner: fc.Arbitrary<Poisoned>) =>
  fc
    .tuple(inner, fc.array(json, { maxLength: 3 }), fc.array(json, { maxLength: 3 }))
    .map(([{ value, keys }, before, after]): Poisoned => ({
      value: [...before, value, ...after],
      keys: [before.length, ...keys],
    }));

const inObject = (inner: fc.Arbitrary<Poisoned>) =>
  fc
    .tuple(inner, fc.dictionary(key, json, { maxKeys: 3 }), key)
    .map(([{ value, keys }, siblings, name]): Poisoned => ({
      value: { ...siblings, [name]: value },
      keys: [name, ...keys],
    }));

const poisoned = fc.integer({ min: 1, max: 6 }).chain((depth) => {
  let value = poison;
  for (let level = 0; level < depth; level += 1) value = fc.oneof(inArray(value), inObject(value));
  return value;
});

/** Reads a path back: an independent account of what the message says. */
function keysOf(path: string): (string | number)[] {
  const found: (string | number)[] = [];
  const part = /\.([A-Za-z_$][\w$]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/gy;
  part.lastIndex = 'payload'.length;
  while (part.lastIndex < path.length) {
    const [, name, index, quoted] = part.exec(path)!;
    found.push(name ?? (index === undefined ? (JSON.parse(quoted!) as string) : Number(index)));
  }
  return found;
}

describe('encodeJson', () => {
  it('writes any JSON value as JSON.stringify does, and it reads back the same', () => {
    fc.assert(
      fc.property(json, (value) => {
        const encoded = encodeJson(value, UNLIMITED);
        expect(encoded).toBe(JSON.stringify(value));
        expect(JSON.parse(encoded)).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it('finds what is no JSON wherever it is, and names the place', () => {
    fc.assert(
      fc.property(poisoned, ({ value, keys }) => {
        const error = thrownBy(() => encodeJson(value, UNLIMITED));
        expect(error).toBeInstanceOf(InvalidPayloadError);
        expect(keysOf((error as InvalidPayloadError).path)).toEqual(keys);
      }),
      { numRuns: 500 },
    );
  });

  it('accepts a value exactly when its text fits the limit', () => {
    fc.assert(
      fc.property(json, fc.integer({ min: -3, max: 3 }), (value, difference) => {
        const bytes = Buffer.byteLength(JSON.stringify(value));
        expect(outcomeOf(value, bytes + difference)).toBe(difference < 0 ? PayloadTooLargeError : 'written');
      }),
    );
  });

  it('either refuses a value with one of its errors or writes what JSON.stringify would', () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    fc.assert(
      fc.property(anything, (value) => {
        fc.pre(value !== undefined);
        const outcome = outcomeOf(value);
        expect([InvalidPayloadError, 'written']).toContain(outcome);
        fc.pre(outcome === 'written');
        expect(encodeJson(value, UNLIMITED)).toBe(JSON.stringify(value));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('safePayload', () => {
  const dangerous = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.integer(),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'prototype', 'a'), tie('json'), {
        maxKeys: 4,
      }),
    ),
  })).json;

  it('makes any JSON acceptable to encodeJson, and changes none that was', () => {
    fc.assert(
      fc.property(dangerous, (value) => {
        const source = JSON.stringify(value);
        const safe = safePayload(JSON.parse(source));
        expect(outcomeOf(safe)).toBe('written');
        fc.pre(outcomeOf(JSON.parse(source)) === 'written');
        expect(JSON.stringify(safe)).toBe(source);
      }),
      { numRuns: 500 },
    );
  });

  it('has nothing to remove where mayPollute says so', () => {
    fc.assert(
      fc.property(dangerous, (value) => {
        const source = JSON.stringify(value);
        fc.pre(!mayPollute(source));
        expect(JSON.stringify(safePayload(JSON.parse(source)))).toBe(source);
      }),
    );
  });
});

/** `'written'`, or the class of the error. */
function outcomeOf(value: unknown, maxBytes = UNLIMITED.maxBytes): unknown {
  try {
    encodeJson(value, { maxBytes });
    return 'written';
  } catch (error) {
    return (error as Error).constructor;
  }
}
