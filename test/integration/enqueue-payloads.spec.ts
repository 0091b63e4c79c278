import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

/** An engine whose handler tells what it got, by job. */
const setup = async () => {
  const database = await testDatabase();
  const taskmaster = engine(database);
  const handled = new SignalPoint<{ id: string; payload: unknown }>();
  taskmaster.register({
    queue: 'mail',
    label: 'mail',
    handle: (payload: unknown, job) => handled.signal({ id: job.id, payload }),
  });
  await taskmaster.start();
  return { database, handled, publisher: taskmaster.publisher, jobs: `"${database.schema}".jobs` };
};

function nested(levels: number): unknown {
  let value: unknown = 'end';
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

const MIB = 1_048_576;

/** What comes back the same. */
const SAME: Readonly<Record<string, unknown>> = {
  'an empty object': {},
  'an empty array': [],
  'an array': [1, 'two', null, [3]],
  'an object': { to: 'a@example.com', cc: [], meta: { deep: true } },
  'a text': 'text',
  'an empty text': '',
  'a text of JSON': '{"not": "an object"}',
  null: null,
  true: true,
  false: false,
  zero: 0,
  'a negative number': -1.5,
  'a large integer': Number.MAX_SAFE_INTEGER,
  'the largest number': Number.MAX_VALUE,
  'the smallest number': Number.MIN_VALUE,
  'a number with an exponent': 1e21,
  'a fraction': 0.1,
  'quotes and backslashes': `"'\\ \\" \\u0041 $1 \${x} %s`,
  'control characters': '\u0001\b\t\n\f\r\u001f\u007f',
  'line separators': '\u2028\u2029',
  'characters of all planes': 'é ß 漢 😀 \u{10ffff} \ufeff \ufffd',
  'composed and decomposed letters': ['\u00e9', 'e\u0301'],
  'odd keys': { '': 1, ' ': 2, '"': 3, "'": 4, '\\': 5, $1: 6, toString: 7, constructor: 8, '😀': 9 },
  'as many levels as are allowed': nested(512),
  'as many bytes as are allowed': 'x'.repeat(MIB - 2),
  'many elements': Array.from({ length: 10_000 }, (_, n) => n),
};

/** What has a `toJSON`, or another realm, and what comes back. */
const CONVERTED: readonly (readonly [string, unknown, unknown])[] = [
  ['nothing', undefined, {}],
  ['a Date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
  ['a URL', new URL('https://example.com/a?b'), 'https://example.com/a?b'],
  ['a toJSON', { price: { toJSON: () => '1.10' } }, { price: '1.10' }],
  ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ['an object of another realm', runInNewContext('({ a: [1] })'), { a: [1] }],
];

function cycle(): unknown {
  const one: Record<string, unknown> = {};
  one['two'] = { one };
  return one;
}

/** What would not come back the same: the path at which it is refused. */
const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ['undefined in an object', { a: { b: undefined } }, 'payload.a.b'],
  ['undefined in an array', [1, undefined], 'payload[1]'],
  ['a function', { a: () => 1 }, 'payload.a'],
  ['a function alone', () => 1, 'payload'],
  ['a symbol', { a: Symbol('s') }, 'payload.a'],
  ['a symbol as key', { [Symbol('s')]: 1 }, 'payload'],
  ['a BigInt', { a: 1n }, 'payload.a'],
  ['NaN', { a: NaN }, 'payload.a'],
  ['Infinity', [-Infinity], 'payload[0]'],
  ['-0', { a: -0 }, 'payload.a'],
  ['an invalid Date', { at: new Date(NaN) }, 'payload.at'],
  ['a Map', { a: new Map([[1, 2]]) }, 'payload.a'],
  ['a Set', { a: new Set([1]) }, 'payload.a'],
  ['a Buffer', { a: Buffer.from('a') }, 'payload.a'],
  ['binary data', { a: new Uint8Array(2) }, 'payload.a'],
  ['an instance of a class', { a: new (class Money {})() }, 'payload.a'],
  ['a RegExp', { a: /a/ }, 'payload.a'],
  ['an Error', { a: new Error('a') }, 'payload.a'],
  ['a Promise', { a: Promise.resolve(1) }, 'payload.a'],
  // oxlint-disable-next-line no-sparse-arrays -- the subject
  ['a sparse array', { a: [1, , 3] }, 'payload.a[1]'],
  ['a cycle', cycle(), 'payload.two.one'],
  ['NUL in a text', { a: 'b\0' }, 'payload.a'],
  ['NUL in a key', { 'a\0': 1 }, 'payload["a\\u0000"]'],
  ['half of a surrogate pair', { a: '😀'.slice(0, 1) }, 'payload.a'],
  ['half of a surrogate pair in a key', { ['😀'.slice(1)]: 1 }, 'payload["\\ude00"]'],
  ['an own __proto__', { a: JSON.parse('{"__proto__": {"b": 1}}') as unknown }, 'payload.a.__proto__'],
  ['a constructor.prototype', { constructor: { prototype: { b: 1 } } }, 'payload.constructor.prototype'],
  ['a level too many', nested(513), expect.stringMatching(/^payload\[0\]/)],
  ['thousands of levels', nested(10_000), expect.stringMatching(/^payload\.in\[0\]/)],
  [
    'a toJSON that throws',
    {
      a: {
        toJSON: () => {
          throw new Error('secret');
        },
      },
    },
    'payload.a',
  ],
  [
    'a getter that throws',
    {
      get a() {
        throw new Error('secret');
      },
    },
    'payload.a',
  ],
  [
    'a proxy that throws',
    {
      a: new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('secret');
          },
        },
      ),
    },
    'payload.a',
  ],
];

describe('a payload', () => {
  it('reaches the handler, and the table, as it was given', async () => {
    const { handled, publisher } = await setup();
    const expected = new Map<string, unknown>();
    for (const [what, payload] of Object.entries(SAME)) {
      expected.set((await publisher.enqueue('mail', payload)).id, { what, payload });
    }
    const got = await handled.count(expected.size);
    for (const { id, payload } of got) {
      const { what } = expected.get(id) as { what: string };
      expect({ what, payload }).toStrictEqual(expected.get(id));
    }
  });

  it('is stored as the same JSON value', async () => {
    const { database, publisher, jobs } = await setup();
    const payloads = Object.values(SAME);
    const enqueued = await publisher.enqueueMany('kept', payloads);
    const rows = await database.query<{ id: string; text: string }>(
      `select id, payload::text as text from ${jobs}`,
    );
    const stored = new Map(rows.map(({ id, text }) => [id, JSON.parse(text) as unknown]));
    expect(enqueued.map((job) => stored.get(job.id))).toStrictEqual(payloads);
  });

  it('is stored as what its toJSON says', async () => {
    const { handled, publisher } = await setup();
    const expected = new Map<string, unknown>();
    for (const [what, payload, stored] of CONVERTED) {
      expected.set((await publisher.enqueue('mail', payload)).id, { what, payload: stored });
    }
    for (const { id, payload } of await handled.count(expected.size)) {
      const { what } = expected.get(id) as { what: string };
      expect({ what, payload }).toStrictEqual(expected.get(id));
    }
  });

  it('is refused where it would not come back the same, and nothing is stored', async () => {
    const { database, publisher, jobs } = await setup();
    const refusals: unknown[] = [];
    for (const [what, payload] of REFUSED) {
      const error = await publisher.enqueue('kept', payload).then(
        () => ({ code: 'stored', path: '', message: '' }),
        (thrown: { code: string; path: string; message: string }) => thrown,
      );
      refusals.push([what, error.code, error.path]);
      expect(error.message).not.toContain('secret');
    }
    expect(refusals).toEqual(REFUSED.map(([what, , path]) => [what, 'TM_INVALID_PAYLOAD', path]));
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it.each([
    ['a byte too many', () => 'x'.repeat(MIB - 1)],
    ['a byte too many in letters of two bytes', () => 'é'.repeat(MIB / 2)],
    ['50 MB in one text', () => 'x'.repeat(50_000_000)],
    ['300 MB in one text', () => 'x'.repeat(300_000_000)],
    ['50 MB in many texts', () => Array.from({ length: 500 }, () => 'x'.repeat(100_000))],
  ])('is refused with %s, and nothing is stored', async (_what, payload) => {
    const { database, publisher, jobs } = await setup();
    await expect(publisher.enqueue('kept', payload())).rejects.toMatchObject({
      code: 'TM_PAYLOAD_TOO_LARGE',
      limitBytes: MIB,
    });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('may be larger where the limit is', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database, { maxPayloadBytes: 4 * MIB });
    await taskmaster.open();
    await taskmaster.publisher.enqueue('kept', 'x'.repeat(3 * MIB));
    const rows = await database.query(
      `select length(payload #>> '{}') as length from "${database.schema}".jobs`,
    );
    expect(rows).toEqual([{ length: 3 * MIB }]);
  });
});

describe('a payload that plain SQL has stored', () => {
  it('pollutes no prototype', async () => {
    const { database, handled, jobs } = await setup();
    await database.query(`insert into ${jobs} (queue_name, payload) values ('mail', $1)`, [
      '{"__proto__": {"polluted": 1}, "deep": [{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}], "a": 1}',
    ]);
    const [got] = await handled.count(1);
    expect(JSON.stringify(got?.payload)).toBe('{"a":1,"deep":[{"constructor":{}}]}');
    expect(Object.getPrototypeOf(got?.payload)).toBe(Object.prototype);
    expect(Object.assign({}, got?.payload)).not.toHaveProperty('polluted');
    expect({}).not.toHaveProperty('polluted');
  });

  it('reaches the handler whatever JSON it is', async () => {
    const { database, handled, jobs } = await setup();
    await database.query(
      `insert into ${jobs} (queue_name, payload) values ('mail', 'null'), ('mail', '9007199254740993'), ('mail', '"text"')`,
    );
    const got = (await handled.count(3)).toSorted((a, b) => Number(a.id) - Number(b.id));
    expect(got.map((job) => job.payload)).toEqual([null, 9007199254740992, 'text']);
  });
});
