import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** What a handler may throw, and what is stored of it. */
const THROWN: readonly (readonly [name: string, make: () => unknown, stored: object])[] = [
  ['an error', () => new RangeError('far'), { name: 'RangeError', message: 'far' }],
  ['a string', () => 'just text', { message: 'just text' }],
  ['undefined', () => undefined, { message: 'undefined' }],
  ['null', () => null, { message: 'null' }],
  ['0', () => 0, { message: '0' }],
  ['a symbol', () => Symbol('odd'), { message: 'Symbol(odd)' }],
  ['a BigInt', () => 7n, { message: '7' }],
  ['a function', () => () => undefined, { message: 'a function was thrown' }],
  ['a frozen object', () => Object.freeze({ reason: 'cold' }), { message: '{"reason":"cold"}' }],
  [
    'an object without a prototype',
    () => Object.assign(Object.create(null), { message: 'bare' }),
    { message: 'bare' },
  ],
  ['an object with getters that throw', () => throwing(), {}],
  ['a proxy that refuses everything', () => new Proxy({}, refusing()), {}],
  ['a revoked proxy', () => revoked(), {}],
  ['an error that causes itself', () => selfCaused(), { message: 'round', name: 'Error' }],
  ['a message of 10 MB', () => new Error('x'.repeat(10_000_000)), { name: 'Error' }],
  ['a message that jsonb refuses', () => new Error('a\u0000b\ud800c'), { name: 'Error' }],
  [
    'a code and a name that jsonb refuses',
    () => Object.assign(new Error('m'), { code: '\u0000', name: '\udfff' }),
    {},
  ],
  [
    'an error of another realm',
    () => runInNewContext('new TypeError("elsewhere")'),
    { name: 'TypeError', message: 'elsewhere' },
  ],
  [
    'several errors at once',
    () => new AggregateError([new Error('one'), new Error('two')]),
    { name: 'AggregateError' },
  ],
];

describe('a handler that throws', () => {
  it.each(THROWN)('%s fails its attempt and nothing else', async (_name, make, stored) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handlers = {
      sync: {
        maxAttempts: 1,
        handle: () => {
          throw make();
        },
      },
      async: { maxAttempts: 1, handle: () => Promise.reject(make()) },
      next: () => undefined,
    };
    const { log } = await workingEngine(database, handlers);
    for (const queue of ['sync', 'async']) {
      const id = await jobs.insert(queue);
      const { last_error } = await jobs.in(id, 'failed');
      expect(last_error).toMatchObject(stored);
      expect(Buffer.byteLength(last_error!.message)).toBeLessThanOrEqual(8_192);
      expect(JSON.stringify(last_error).length).toBeLessThan(100_000);
    }
    await jobs.insert('next');
    await log.of('completed').count(1);
    expect(log.of('engineError').values).toEqual([]);
  });

  it('never fails the jobs that are settled with it', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: Job<never>) => {
      const { n } = job.payload as { n: number };
      if (n % 2 === 0) throw THROWN[(n / 2) % THROWN.length]![1]();
    };
    await workingEngine(database, { mail: { maxAttempts: 1, concurrency: 100, handle } });
    await jobs.insertMany('mail', 2 * THROWN.length);
    for (const job of await jobs.all()) if (Number(job.id) % 2 === 1) await jobs.in(job.id, 'failed');
    const left = await jobs.all();
    expect(left.map((job) => job.state)).toEqual(THROWN.map(() => 'failed'));
  });
});

function throwing(): object {
  const get = () => {
    throw new Error('not to be read');
  };
  return Object.defineProperties(
    {},
    { message: { get }, name: { get }, stack: { get }, cause: { get }, toJSON: { get } },
  );
}

function refusing(): ProxyHandler<object> {
  const refuse = () => {
    throw new Error('refused');
  };
  return {
    get: refuse,
    has: refuse,
    getPrototypeOf: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
  };
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function selfCaused(): Error {
  const error = new Error('round');
  error.cause = error;
  return error;
}
