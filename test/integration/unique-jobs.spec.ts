import { describe, expect, it } from 'vitest';
import type { UniqueOptions } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const payloads = async (database: TestDatabase) =>
  (
    await database.query<{ payload: unknown }>(`select payload from "${database.schema}".jobs order by id`)
  ).map((row) => row.payload);

/** Publishers in that many engines. */
async function publishers(database: TestDatabase, count: number) {
  const engines = await Promise.all(Array.from({ length: count }, () => openEngine(database)));
  return engines.map(({ publisher }) => publisher);
}

describe('a unique job', () => {
  const unique: UniqueOptions = { key: 'a' };

  it('exists once, whoever enqueues it at the same time, and everybody gets its id', async () => {
    const database = await testDatabase();
    const all = await publishers(database, 5);
    const calls = Array.from({ length: 50 }, (_, n) => all[n % 5]!.enqueue('mail', { n }, { unique }));
    const jobs = await Promise.all(calls);
    expect(new Set(jobs.map((job) => job.id)).size).toBe(1);
    expect(jobs.filter((job) => !job.deduplicated)).toHaveLength(1);
    expect(await payloads(database)).toHaveLength(1);
  });

  it('exists once, whoever enqueues it at the same time in whatever way: fifty at once, many, in transactions, and in SQL', async () => {
    const database = await testDatabase();
    const all = await publishers(database, 5);
    const clients = await Promise.all([1, 2, 3].map(() => database.client()));
    const ways = [
      async (n: number) => [await all[n % 5]!.enqueue('mail', n, { unique })],
      (n: number) => all[n % 5]!.enqueueMany('mail', [n, n, n], { unique }),
      (n: number) =>
        all[n % 5]!.withTransaction(async () => [
          await all[n % 5]!.enqueue('mail', n, { unique }),
          ...(await all[n % 5]!.enqueueMany([{ queue: 'mail', payload: n, unique }])),
        ]),
      async (n: number) =>
        (
          await clients[n % 3]!.query<{ id: string }>(
            `select "${database.schema}".enqueue('mail', to_jsonb($1::integer), '{"unique": {"key": "a"}}') as id`,
            [n],
          )
        ).rows.map(({ id }) => ({ id, deduplicated: undefined })),
    ];
    const jobs = (await Promise.all(Array.from({ length: 50 }, (_, n) => ways[n % 4]!(n)))).flat();
    expect(new Set(jobs.map((job) => job.id)).size).toBe(1);
    expect(jobs.filter((job) => job.deduplicated === false).length).toBeLessThanOrEqual(1);
    expect(await payloads(database)).toHaveLength(1);
  });

  it('exists once among many, in transactions, and in SQL', async () => {
    const database = await testDatabase();
    const [publisher] = await publishers(database, 1);
    const many = await publisher!.enqueueMany('mail', [1, 2, 3], { unique });
    const joined = await publisher!.withTransaction(async (tx) => [
      await publisher!.enqueue('mail', 4, { unique, tx }),
      ...(await publisher!.enqueueMany([{ queue: 'mail', payload: 5, unique }], { tx })),
    ]);
    const [row] = await database.query<{ id: string }>(
      `select "${database.schema}".enqueue('mail', '6', '{"unique": {"key": "a"}}') as id`,
    );
    const all = [...many, ...joined];
    expect(new Set([...all.map((job) => job.id), row!.id])).toEqual(new Set([many[0]!.id]));
    expect(all.map((job) => job.deduplicated)).toEqual([false, true, true, true, true]);
    expect(await payloads(database)).toEqual([1]);
  });

  it('is told apart by the fields that it names, the same in SQL', async () => {
    const database = await testDatabase();
    const [publisher] = await publishers(database, 1);
    const fields: UniqueOptions = { fields: ['user.id', 'kind'] };
    const enqueue = (id: number, kind?: string) =>
      publisher!.enqueue(
        'mail',
        { user: { id }, ...(kind !== undefined && { kind }), other: Math.random() },
        { unique: fields },
      );
    const [first] = [await enqueue(1, 'a'), await enqueue(2, 'a'), await enqueue(1), await enqueue(1, 'a')];
    const [row] = await database.query<{ id: string }>(
      `select "${database.schema}".enqueue('mail', '{"kind": "a", "user": {"id": 1}}', '{"unique": {"fields": ["user.id", "kind"]}}') as id`,
    );
    expect(row!.id).toBe(first.id);
    expect(await payloads(database)).toHaveLength(3);
  });

  it('is another one in another queue, and after it has ended', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { taskmaster, log } = await workingEngine(database, {
      mail: () => undefined,
      bad: { maxAttempts: 1, handle: () => Promise.reject(new Error('no')) },
    });
    const { publisher } = taskmaster;
    const first = await publisher.enqueue('mail', 1, { unique });
    await log.of('completed').count(1);
    expect(await publisher.enqueue('mail', 1, { unique })).not.toMatchObject({ id: first.id });
    const failed = await publisher.enqueue('bad', 1, { unique });
    await jobs.in(failed.id, 'failed');
    expect(await publisher.enqueue('bad', 1, { unique })).toMatchObject({ deduplicated: false });
  });

  it('is waited for while another transaction decides about it', async () => {
    const database = await testDatabase();
    const [one, two] = await publishers(database, 2);
    let other: Promise<{ deduplicated: boolean }> | undefined;
    const rolledBack = one!.withTransaction(async () => {
      await one!.enqueue('mail', 1, { unique });
      other = two!.enqueue('mail', 2, { unique });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    expect(await other).toMatchObject({ deduplicated: false });
    expect(await payloads(database)).toEqual([2]);
  });

  it('keeps its key for a period, and for ever, whatever becomes of it', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, { mail: () => undefined });
    const { publisher } = taskmaster;
    const rules: UniqueOptions[] = [
      { key: 'period', periodMs: 60_000 },
      { key: 'always', scope: 'forever' },
    ];
    for (const [index, rule] of rules.entries()) {
      const first = await publisher.enqueue('mail', 1, { unique: rule });
      await log.of('completed').count(index + 1);
      expect(await publisher.enqueue('mail', 2, { unique: rule })).toEqual({ ...first, deduplicated: true });
    }
    await database.query(
      `update "${database.schema}".unique_keys set expires_at = now() where unique_key = 'period'`,
    );
    expect(await publisher.enqueue('mail', 3, { unique: rules[0]! })).toMatchObject({ deduplicated: false });
  });
});

describe('a unique job that conflicts with one that waits', () => {
  const cases: [string, UniqueOptions['onConflict'], unknown, unknown, unknown][] = [
    ['is not stored with keep', 'keep', { n: 1 }, { n: 2 }, { n: 1 }],
    ['replaces its payload with replace', 'replace', { n: 1 }, { m: 2 }, { m: 2 }],
    ['replaces its payload with latest', 'latest', { n: 1 }, { m: 2 }, { m: 2 }],
    ['replaces its payload with abort', 'abort', { n: 1 }, { m: 2 }, { m: 2 }],
    ['is added to an array with merge', 'merge', [1, 2], [2, 3], [1, 2, 2, 3]],
    [
      'is assigned key by key with merge',
      'merge',
      { a: 1, b: 1, list: [1] },
      { b: 2, c: 3, list: [2] },
      { a: 1, b: 2, c: 3, list: [1, 2] },
    ],
  ];

  it.each(cases)('%s', async (_name, onConflict, first, second, stored) => {
    const database = await testDatabase();
    const [publisher] = await publishers(database, 1);
    const unique: UniqueOptions = { key: 'a', ...(onConflict !== undefined && { onConflict }) };
    const job = await publisher!.enqueue('mail', first, { unique });
    expect(await publisher!.enqueue('mail', second, { unique })).toEqual({ ...job, deduplicated: true });
    expect(await payloads(database)).toEqual([stored]);
  });

  it.each(cases)('%s, in SQL', async (_name, onConflict, first, second, stored) => {
    const database = await testDatabase();
    const enqueue = async (payload: unknown) => {
      const [row] = await database.query<{ id: string }>(
        `select "${database.schema}".enqueue('mail', $1::jsonb, $2::jsonb) as id`,
        [JSON.stringify(payload), JSON.stringify({ unique: { key: 'a', onConflict } })],
      );
      return row!.id;
    };
    const id = await enqueue(first);
    expect(await enqueue(second)).toBe(id);
    expect(await payloads(database)).toEqual([stored]);
  });

  it('puts off its start, and in the end starts it, with debounce', async () => {
    const database = await testDatabase();
    const ran = new SignalPoint<unknown>();
    const { taskmaster } = await workingEngine(database, { mail: (job) => ran.signal(job.payload) });
    const unique: UniqueOptions = { key: 'a', onConflict: { debounceMs: 300, maxWaitMs: 700 } };
    const startedAt = performance.now();
    for (let n = 1; performance.now() - startedAt < 600; n += 1)
      await taskmaster.publisher.enqueue('mail', n, { unique });
    const [payload] = await ran.count(1);
    expect(payload).toBeGreaterThan(1);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    const [row] = await database.query<{ jobs: string }>(
      `select count(*) as jobs from "${database.schema}".jobs`,
    );
    expect(Number(row!.jobs)).toBe(0);
    expect(ran.values).toHaveLength(1);
  });
});

describe('a unique job that conflicts with one that runs', () => {
  const running = async () => {
    const database = await testDatabase();
    const closed = gate();
    const ran = new SignalPoint<unknown>();
    const aborted = new SignalPoint<unknown>();
    const { taskmaster, log } = await workingEngine(database, {
      mail: async (job) => {
        ran.signal(job.payload);
        if (job.payload === (1 as never))
          await closed.pass(job.signal).catch((error: unknown) => {
            aborted.signal(error);
            throw error;
          });
      },
    });
    return {
      database,
      jobs: new JobTable(database),
      closed,
      ran,
      aborted,
      log,
      publisher: taskmaster.publisher,
    };
  };

  it('is one with it while the scope is active', async () => {
    const { database, publisher, closed } = await running();
    const job = await publisher.enqueue('mail', 1, { unique: { key: 'a' } });
    await closed.reached(1);
    for (const onConflict of ['keep', 'replace'] as const) {
      const again = await publisher.enqueue('mail', 2, { unique: { key: 'a', onConflict } });
      expect(again).toEqual({ ...job, deduplicated: true });
    }
    expect(await payloads(database)).toEqual([1]);
  });

  it('is a new one when the scope is pending, and there is one of those', async () => {
    const { publisher, closed, ran, jobs } = await running();
    const unique: UniqueOptions = { key: 'a', scope: 'pending' };
    await publisher.enqueue('mail', 1, { unique });
    await closed.reached(1);
    const later = { unique, delayMs: 60_000 };
    const second = await publisher.enqueue('mail', 2, later);
    expect(second.deduplicated).toBe(false);
    expect(await publisher.enqueue('mail', 3, later)).toEqual({ ...second, deduplicated: true });
    expect(await jobs.all()).toHaveLength(2);
    expect(ran.values).toEqual([1]);
  });

  it('is the one that comes next with latest, with the newest payload', async () => {
    const { publisher, closed, ran, log } = await running();
    const unique: UniqueOptions = { key: 'a', onConflict: 'latest' };
    const options = { unique, delayMs: 500 };
    await publisher.enqueue('mail', 1, { unique });
    await closed.reached(1);
    const next = await Promise.all([2, 3, 4, 5].map((n) => publisher.enqueue('mail', n, options)));
    expect(new Set(next.map((job) => job.id)).size).toBe(1);
    closed.open();
    await log.of('completed').count(2);
    expect(ran.values).toHaveLength(2);
    expect([2, 3, 4, 5]).toContain(ran.values[1]);
  });

  it('aborts it and runs when it has ended, with abort', async () => {
    const { publisher, closed, ran, aborted, log } = await running();
    const unique: UniqueOptions = { key: 'a', onConflict: 'abort' };
    const first = await publisher.enqueue('mail', 1, { unique });
    await closed.reached(1);
    const second = await publisher.enqueue('mail', 2, { unique });
    expect(second).toMatchObject({ deduplicated: false });
    expect(await aborted.count(1)).toMatchObject([{ code: 'TM_CANCELLED', jobId: first.id }]);
    await log.of('cancelled').count(1);
    const [completed] = await log.of('completed').count(1);
    expect(completed?.jobId).toBe(second.id);
    expect(ran.values).toEqual([1, 2]);
  });

  it('that was replaced while it was claimed is either replaced or run as it was, never both', async () => {
    const database = await testDatabase();
    const ran: unknown[] = [];
    const { taskmaster } = await workingEngine(database, { mail: (job) => void ran.push(job.payload) });
    const { publisher } = taskmaster;
    let stored = 0;
    for (let n = 0; n < 300; n += 1) {
      const unique: UniqueOptions = { key: 'a', onConflict: 'latest' };
      const job = await publisher.enqueue('mail', n, { unique });
      if (!job.deduplicated) stored += 1;
    }
    await new JobTable(database).empty();
    expect(ran).toHaveLength(stored);
    expect(new Set(ran).size).toBe(stored);
    expect(ran.at(-1)).toBe(299);
  });
});
