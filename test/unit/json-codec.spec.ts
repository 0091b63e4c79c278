import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { encodeJson, mayPollute, safePayload } from '../../lib/engine/codec/json-codec.js';
import { InvalidPayloadError, PayloadTooLargeError } from '../../lib/engine/errors.js';
import { thrownBy } from '../support/thrown-by.js';

const LIMITS = { maxBytes: 1_048_576 };
const encode = (value: unknown) => encodeJson(value, LIMITS);

class Point {
  constructor(readonly x: number) {}
}

class Money {
  constructor(readonly cents: number) {}
  toJSON() {
    return { cents: this.cents };
  }
}

describe('encodeJson', () => {
  const shared = { n: 1 };
  const KEPT: Record<string, unknown> = {
    null: null,
    'a string': 'text',
    'a number': 42,
    'a boolean': false,
    'an empty object': {},
    'an empty array': [],
    'an array': [1, 'two', null, [3], { four: 4 }],
    'nested objects': { a: { b: { c: [{ d: true }] } } },
    'numbers of every notation': [0, -1, 1.5, 1e21, 1e-7, 5e-324, Number.MAX_VALUE, 2 ** 53],
    'every escape': { text: '"\\\b\f\n\r\t\u0001\u001f/\u2028', 'key "\\\n': 1 },
    'every plane of Unicode': ['é', 'ж', '漢', '📬', '\uffff'],
    'odd keys': { '': 1, 'a b': 2, '0': 3, constructor: 4, toString: 5, prototype: 6 },
    'a shared reference that is no cycle': { first: shared, second: [shared, shared] },
    'a long array': Array.from({ length: 1_000 }, (_, index) => ({ index })),
    'an array of the length where the check of keys changes': Array.from({ length: 65 }, (_, index) => index),
  };

  it.each(Object.entries(KEPT))('keeps %s as it is', (_, value) => {
    expect(encode(value)).toBe(JSON.stringify(value));
    expect(JSON.parse(encode(value))).toEqual(value);
  });

  it('stores undefined as the whole payload as {}', () => {
    expect(encode(undefined)).toBe('{}');
  });

  it('takes objects without a prototype for plain', () => {
    expect(encode(Object.assign(Object.create(null) as object, { a: 1 }))).toBe('{"a":1}');
  });

  it('takes objects and arrays of another realm for plain', () => {
    expect(encode(vm.runInNewContext('({ a: [1, { b: "c" }] })'))).toBe('{"a":[1,{"b":"c"}]}');
    expect(encode(vm.runInNewContext('Array.from({ length: 100 }, () => 1)'))).toBe(`[${'1,'.repeat(99)}1]`);
  });

  it('leaves out what is not enumerable', () => {
    expect(encode(Object.defineProperty({ a: 1 }, 'hidden', { value: () => 1 }))).toBe('{"a":1}');
  });

  it('stores what toJSON answers', () => {
    const at = new Date('2026-01-01T00:00:00Z');
    expect(encode({ at, url: new URL('https://example.com/a?b'), price: new Money(995) })).toBe(
      '{"at":"2026-01-01T00:00:00.000Z","url":"https://example.com/a?b","price":{"cents":995}}',
    );
    expect(encode(at)).toBe('"2026-01-01T00:00:00.000Z"');
  });

  it('tells toJSON its key, as JSON.stringify does', () => {
    const keys: string[] = [];
    const value = { toJSON: (key: string) => keys.push(key) };
    encode({ a: [0, value], b: value });
    encode(value);
    expect(keys).toEqual(['1', 'b', '']);
  });

  it('stores values of classes that convert themselves at any depth', () => {
    expect(encode({ list: [{ toJSON: () => ({ inner: new Money(1) }) }] })).toBe(
      '{"list":[{"inner":{"cents":1}}]}',
    );
  });

  const circular: { self?: unknown; list?: unknown[] } = {};
  circular.list = [{ back: circular }];
  const REFUSED: Record<string, [value: unknown, path: string, reason: RegExp]> = {
    'undefined in an object': [{ user: { name: undefined } }, 'payload.user.name', /undefined/],
    'undefined in an array': [{ tags: ['a', undefined] }, 'payload.tags[1]', /undefined/],
    'a function': [{ run: () => 1 }, 'payload.run', /function/],
    'a function as the payload': [() => 1, 'payload', /function/],
    'a symbol': [[Symbol('secret')], 'payload[0]', /symbol/],
    'a symbol as key': [{ a: { [Symbol('secret')]: 1 } }, 'payload.a', /symbol as key/],
    'a BigInt': [{ id: 5n }, 'payload.id', /BigInt/],
    NaN: [[[NaN]], 'payload[0][0]', /NaN/],
    Infinity: [{ a: Infinity }, 'payload.a', /Infinity/],
    '-Infinity': [{ a: -Infinity }, 'payload.a', /Infinity/],
    '-0': [{ a: -0 }, 'payload.a', /-0/],
    'an invalid Date': [{ at: new Date(NaN) }, 'payload.at', /invalid/],
    'an invalid Date of another realm': [
      { at: vm.runInNewContext('new Date(NaN)') },
      'payload.at',
      /invalid/,
    ],
    'a Map': [{ a: new Map([['secret', 1]]) }, 'payload.a', /Map/],
    'a Set': [{ a: new Set(['secret']) }, 'payload.a', /Set/],
    'a Buffer': [{ a: Buffer.from('secret') }, 'payload.a', /binary/],
    'a typed array': [{ a: new Uint8Array(2) }, 'payload.a', /binary/],
    'an ArrayBuffer': [{ a: new ArrayBuffer(2) }, 'payload.a', /binary/],
    'a DataView': [{ a: new DataView(new ArrayBuffer(2)) }, 'payload.a', /binary/],
    'a Promise': [{ a: Promise.resolve('secret') }, 'payload.a', /await/],
    'a boxed string': [{ a: new String('secret') }, 'payload.a', /boxed/],
    'a boxed number': [{ a: new Number(5) }, 'payload.a', /boxed/],
    'a RegExp': [{ a: /secret/ }, 'payload.a', /RegExp/],
    'an Error': [{ a: new Error('secret') }, 'payload.a', /Error/],
    'a class instance': [{ a: new Point(1) }, 'payload.a', /Point/],
    'an object that inherits from another': [{ a: Object.create({ b: 1 }) }, 'payload.a', /prototype/],
    'an array of a subclass': [{ a: new (class Vector extends Array {})() }, 'payload.a', /Vector/],
    'a hole': [{ a: [1, , 3] }, 'payload.a[1]', /hole/], // oxlint-disable-line no-sparse-arrays -- the point
    'a huge sparse array': [{ a: Object.assign([], { length: 4_000_000_000 }) }, 'payload.a[0]', /hole/],
    'a short array with a key': [{ a: Object.assign([1], { extra: 1 }) }, 'payload.a', /no elements/],
    'a long array with a key': [
      { a: Object.assign(Array(999).fill(1), { extra: 1 }) },
      'payload.a',
      /no elements/,
    ],
    'a match of a RegExp': [{ a: /s(ecret)/.exec('secret') }, 'payload.a', /no elements|undefined/],
    'a cycle': [circular, 'payload.list[0].back', /cycle/],
    'NUL in a value': [{ a: 'sec\0ret' }, 'payload.a', /NUL/],
    'NUL in a key': [{ a: { 'k\0': 1 } }, 'payload.a["k\\u0000"]', /NUL/],
    'a lone high surrogate': [{ a: 'secret\ud83d' }, 'payload.a', /surrogate/],
    'a lone low surrogate': [['\udce8secret'], 'payload[0]', /surrogate/],
    'a lone surrogate in a key': [{ '\ud83d': 1 }, 'payload["\\ud83d"]', /surrogate/],
    'an own __proto__': [JSON.parse('{"a":{"__proto__":{"x":1}}}'), 'payload.a.__proto__', /prototypes/],
    'constructor.prototype': [
      JSON.parse('{"a":{"constructor":{"prototype":{"x":1}}}}'),
      'payload.a.constructor.prototype',
      /prototypes/,
    ],
    'constructor.prototype at the top': [
      JSON.parse('{"constructor":{"prototype":{"x":1}}}'),
      'payload.constructor.prototype',
      /prototypes/,
    ],
    'an object that inherits from one without a prototype': [
      { a: Object.create(Object.create(null) as object) },
      'payload.a',
      /prototype/,
    ],
    'a toJSON that answers undefined': [{ a: { toJSON: () => undefined } }, 'payload.a', /undefined/],
    'a toJSON that answers a class instance': [{ a: { toJSON: () => new Point(1) } }, 'payload.a', /Point/],
    'a toJSON that answers an object with a toJSON': [
      { a: { toJSON: () => new Money(1) } },
      'payload.a',
      /Money/,
    ],
    'a toJSON that answers a Date': [{ a: { toJSON: () => new Date() } }, 'payload.a', /Date/],
    'odd keys on the way': [{ 'a b': [{ '': { ok: NaN } }] }, 'payload["a b"][0][""].ok', /NaN/],
  };

  it.each(Object.entries(REFUSED))('refuses %s', (_, [value, path, reason]) => {
    const error = invalid(value);
    expect(error).toMatchObject({ code: 'TM_INVALID_PAYLOAD', path });
    expect(error.reason).toMatch(reason);
    expect(error.message).not.toContain('secret');
  });

  const THROWING: Record<string, () => unknown> = {
    'a getter that throws': () => ({
      get inner() {
        throw new Error('secret');
      },
    }),
    'a toJSON that throws': () => ({
      inner: {
        toJSON() {
          throw new Error('secret');
        },
      },
    }),
    'a getter of toJSON that throws': () => ({
      inner: {
        get toJSON() {
          throw new Error('secret');
        },
      },
    }),
    'a proxy whose keys cannot be read': () => ({
      inner: new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('secret');
          },
        },
      ),
    }),
    'a revoked proxy': () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { inner: proxy };
    },
  };

  it.each(Object.entries(THROWING))('refuses %s, with the path and the cause', (_, make) => {
    const error = invalid({ before: [1], outer: make(), after: 1 });
    expect(error.path).toBe('payload.outer.inner');
    expect(error.message).not.toContain('secret');
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('names the place of a failure after many that were left behind', () => {
    expect(invalid({ a: { b: [1, 2] }, c: [[], {}, { d: {} }], e: new Map() }).path).toBe('payload.e');
    expect(invalid([{ a: [1, 2] }, new Set()]).path).toBe('payload[1]');
  });

  describe('with `instances`', () => {
    class Signup {
      email = 'ada@example.com';
      referrer?: string | undefined = undefined;
      points = [new Point(1)];
    }
    const encodeInstances = (value: unknown) => encodeJson(value, { ...LIMITS, instances: true });

    it('writes instances as their keys, without those that have no value', () => {
      expect(encodeInstances(new Signup())).toBe('{"email":"ada@example.com","points":[{"x":1}]}');
    });

    it('still refuses undefined in plain objects, and built-in objects', () => {
      expect(() => encodeInstances({ a: undefined })).toThrow('payload.a');
      expect(() => encodeInstances({ a: new Map() })).toThrow('Map');
    });
  });

  it('reads everything once: what was checked is what is written', () => {
    let reads = 0;
    const value = {
      get changing() {
        reads += 1;
        return reads === 1 ? 'first' : NaN;
      },
      converting: { toJSON: () => (reads += 10) },
    };
    expect(encode(value)).toBe('{"changing":"first","converting":11}');
    expect(reads).toBe(11);
  });

  it('reads through a proxy', () => {
    const reads: PropertyKey[] = [];
    const target = { a: 1, b: [2] };
    const proxy = new Proxy(target, {
      get(object, key) {
        if (key !== 'toJSON') reads.push(key);
        return Reflect.get(object, key) as unknown;
      },
    });
    expect(encode(proxy)).toBe('{"a":1,"b":[2]}');
    expect(reads).toEqual(['a', 'b']);
    expect(encode(new Proxy(Array(100).fill(7), {}))).toBe(`[${'7,'.repeat(99)}7]`);
  });

  it('refuses nesting beyond maxDepth, and a toJSON that never ends', () => {
    const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown;
    expect(encode(nested(512))).toBe('['.repeat(512) + ']'.repeat(512));
    expect(invalid(nested(513)).reason).toBe('nested deeper than 512 levels');
    expect(invalid(nested(10_000)).path).toMatch(/^payload(\[0\]){20}…(\[0\]){20}$/);
    expect(() => encodeJson([[1]], { ...LIMITS, maxDepth: 1 })).toThrow('payload[0]');
    expect(invalid(endless()).reason).toMatch(/deeper/);
  });

  it('counts bytes of UTF-8, and allows exactly the limit', () => {
    const value = { text: 'ж'.repeat(10) };
    const bytes = Buffer.byteLength(JSON.stringify(value));
    expect(encodeJson(value, { maxBytes: bytes })).toBe(JSON.stringify(value));
    const error = thrownBy(() => encodeJson(value, { maxBytes: bytes - 1 }));
    expect(error).toMatchObject({ code: 'TM_PAYLOAD_TOO_LARGE', bytes, limitBytes: bytes - 1 });
  });

  it.each([
    ['one long string', { a: 'x'.repeat(2_000_000) }],
    ['a long key', { ['x'.repeat(2_000_000)]: 1 }],
    ['many small values', Array(600_000).fill(1)],
    ['many bytes in fewer characters', Array(100).fill('漢'.repeat(4_000))],
  ])('refuses %s above the limit', (_, value) => {
    expect(thrownBy(() => encode(value))).toBeInstanceOf(PayloadTooLargeError);
  });

  it('reads no more of a payload than fits the limit', () => {
    let reads = 0;
    const item = {
      get next() {
        reads += 1;
        return 'x'.repeat(1_000);
      },
    };
    expect(() => encode(Array.from({ length: 100_000 }, () => item))).toThrow(PayloadTooLargeError);
    expect(reads).toBeLessThan(1_200);
  });

  it('keeps long keys and long paths out of its messages', () => {
    expect(invalid({ ['k'.repeat(100_000)]: NaN }).message.length).toBeLessThan(200);
  });
});

describe('safePayload', () => {
  it('removes own __proto__ keys at any depth', () => {
    const payload = safePayload(JSON.parse('{"__proto__":{"x":1},"a":[{"__proto__":{"x":1},"b":2}]}'));
    expect(payload).toEqual({ a: [{ b: 2 }] });
    expect(JSON.stringify(payload)).toBe('{"a":[{"b":2}]}');
    expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
    expect((Object.assign({}, payload) as { x?: number }).x).toBeUndefined();
  });

  it('removes the prototype of a constructor, and no other', () => {
    const text = '{"constructor":{"prototype":{"x":1},"name":"A"},"prototype":{"y":1}}';
    expect(JSON.stringify(safePayload(JSON.parse(text)))).toBe(
      '{"constructor":{"name":"A"},"prototype":{"y":1}}',
    );
  });

  it.each([null, 5, 'text', true, [], [1, [2]], { a: { b: null } }])('leaves %j alone', (value) => {
    expect(safePayload(structuredClone(value))).toEqual(value);
  });

  it('takes nesting that would overflow the stack', () => {
    const deep = JSON.parse('['.repeat(200_000) + '{"__proto__":1}' + ']'.repeat(200_000)) as unknown;
    let inner = safePayload(deep);
    while (Array.isArray(inner)) inner = inner[0];
    expect(Object.keys(inner as object)).toEqual([]);
  });
});

describe('mayPollute', () => {
  it.each([
    '{"__proto__":1}',
    '{"a":[{"__proto__":1}]}',
    '{"\\u005f_proto__":1}',
    '{"constructor":{"prototype":1}}',
  ])('is true for %s', (text) => expect(mayPollute(text)).toBe(true));

  it.each(['{}', '{"proto":1}', '{"to":"ada@example.com"}', '["a\\nb"]'])('is false for %s', (text) => {
    expect(mayPollute(text)).toBe(false);
  });
});

function endless(): object {
  return { toJSON: () => ({ next: endless() }) };
}

function invalid(value: unknown): InvalidPayloadError {
  const error = thrownBy(() => encode(value));
  expect(error).toBeInstanceOf(InvalidPayloadError);
  return error as InvalidPayloadError;
}
