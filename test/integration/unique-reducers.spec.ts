import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineQueue, InvalidOptionsError, InvalidPayloadError, type Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const schema = z.object({ sum: z.number(), upTo: z.number().optional() });

const Sums = defineQueue('sums', {
  schema,
  reducers: {
    add: (waiting: { sum: number }, enqueued: { sum: number }) => ({ sum: waiting.sum + enqueued.sum }),
    slowly: async (waiting: { sum: number }, enqueued: { sum: number }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return { sum: waiting.sum + enqueued.sum };
    },
    wrongly: () => ({ sum: 'much' }),
    badly: () => {
      throw new RangeError('cannot be reduced');
    },
  },
});

const by = (reducer: string, key = 'all') => ({ unique: { key, onConflict: { reducer } } });

async function setup() {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const { publisher } = await openEngine(database);
  const payloads = async () =>
    (await database.query<{ payload: unknown }>(`select payload from ${jobs.schema}.jobs order by id`)).map(
      (row) => row.payload,
    );
  return { database, jobs, publisher, payloads };
}

const inHours = async (database: TestDatabase, id: string) =>
  (
    await database.query<{ hours: number }>(
      `select extract(epoch from run_at - now())::integer / 3600 as hours from "${database.schema}".jobs where id = $1`,
      [id],
    )
  )[0]!.hours;

describe('a reducer', () => {
  it('makes one payload of that of the job that waits and the new one, and its time stays', async () => {
    const { database, publisher, payloads } = await setup();
    const first = await publisher.enqueue(Sums, { sum: 1 }, { ...by('add'), delayMs: 7_300_000 });
    const second = await publisher.enqueue(Sums, { sum: 2 }, by('add'));
    expect(first.deduplicated).toBe(false);
    expect(second).toEqual({ id: first.id, queue: 'sums', deduplicated: true });
    expect(await payloads()).toEqual([{ sum: 3 }]);
    expect(await inHours(database, first.id)).toBe(2);
  });

  it.each(['add', 'slowly'])('loses nothing when fifty producers enqueue at once (%s)', async (name) => {
    const { publisher, payloads } = await setup();
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, n) => publisher.enqueue(Sums, { sum: n + 1 }, by(name))),
    );
    expect(new Set(all.map((job) => job.id)).size).toBe(1);
    expect(all.filter((job) => !job.deduplicated)).toHaveLength(1);
    expect(await payloads()).toEqual([{ sum: 1_275 }]);
  });

  it('loses nothing while a worker takes the jobs', async () => {
    const { database, jobs, publisher } = await setup();
    let sum = 0;
    await workingEngine(database, {
      sums: (job: Job<never>) => {
        sum += (job.payload as { sum: number }).sum;
      },
    });
    const producer = async () => {
      for (let n = 0; n < 40; n += 1) await publisher.enqueue(Sums, { sum: 1 }, by('slowly'));
    };
    await Promise.all([producer(), producer(), producer(), producer()]);
    await jobs.empty();
    expect(sum).toBe(160);
  });

  it('stores a new job when the one with the key runs', async () => {
    const { database, publisher, payloads } = await setup();
    const door = gate();
    await workingEngine(database, { sums: (job) => door.pass(job.signal) });
    const running = await publisher.enqueue(Sums, { sum: 1 }, by('add'));
    await door.reached();
    const next = await publisher.enqueue(Sums, { sum: 2 }, { ...by('add'), delayMs: 60_000 });
    expect(next.deduplicated).toBe(false);
    expect(next.id).not.toBe(running.id);
    expect(await publisher.enqueue(Sums, { sum: 3 }, by('add'))).toMatchObject({ id: next.id });
    expect(await payloads()).toEqual([{ sum: 1 }, { sum: 5 }]);
  });

  it('works in enqueueMany, for jobs of one call too, and answers in input order', async () => {
    const { publisher, payloads } = await setup();
    const jobs = await publisher.enqueueMany([
      { queue: Sums, payload: { sum: 1 }, ...by('add', 'z') },
      { queue: 'plain', payload: { sum: 7 } },
      { queue: Sums, payload: { sum: 2 }, ...by('add', 'a') },
      { queue: Sums, payload: { sum: 4 }, ...by('add', 'z') },
    ]);
    expect(jobs.map((job) => [job.queue, job.deduplicated])).toEqual([
      ['sums', false],
      ['plain', false],
      ['sums', false],
      ['sums', true],
    ]);
    expect(jobs[3]!.id).toBe(jobs[0]!.id);
    expect(
      (await payloads()).toSorted((a, b) => (a as { sum: number }).sum - (b as { sum: number }).sum),
    ).toEqual([{ sum: 2 }, { sum: 5 }, { sum: 7 }]);
  });

  it('works in a transaction, and is undone with it', async () => {
    const { publisher, payloads } = await setup();
    await publisher.enqueue(Sums, { sum: 1 }, by('add'));
    const failing = publisher.withTransaction(async () => {
      await publisher.enqueue(Sums, { sum: 2 }, by('add'));
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    expect(await payloads()).toEqual([{ sum: 1 }]);
    await publisher.withTransaction(() => publisher.enqueue(Sums, { sum: 2 }, by('add')));
    expect(await payloads()).toEqual([{ sum: 3 }]);
  });

  it('works with keys made of fields, which stay those of what was enqueued', async () => {
    const { publisher, payloads } = await setup();
    const queue = defineQueue('sums', {
      reducers: { last: (_: unknown, enqueued: { n: number }) => ({ id: 'changed', n: enqueued.n }) },
    });
    const options = { unique: { fields: ['id'], onConflict: { reducer: 'last' } } };
    await publisher.enqueue(queue, { id: 'a', n: 1 }, options);
    await publisher.enqueue(queue, { id: 'a', n: 2 }, options);
    await publisher.enqueue(queue, { id: 'a', n: 3 }, options);
    expect(await payloads()).toEqual([{ id: 'changed', n: 3 }]);
  });

  it('works with a key that is kept for a period', async () => {
    const { publisher, payloads } = await setup();
    const options = { unique: { key: 'k', periodMs: 60_000, onConflict: { reducer: 'add' } } };
    await publisher.enqueue(Sums, { sum: 1 }, { unique: { key: 'k', onConflict: { reducer: 'add' } } });
    await publisher.enqueue(Sums, { sum: 2 }, options);
    await publisher.enqueue(Sums, { sum: 4 }, options);
    expect(await payloads()).toEqual([{ sum: 7 }]);
  });

  it('changes nothing when it throws, or makes what the schema refuses', async () => {
    const { publisher, payloads } = await setup();
    await publisher.enqueue(Sums, { sum: 1 }, by('add'));
    await expect(publisher.enqueue(Sums, { sum: 2 }, by('badly'))).rejects.toThrow('cannot be reduced');
    await expect(publisher.enqueue(Sums, { sum: 2 }, by('wrongly'))).rejects.toThrow(InvalidPayloadError);
    expect(await payloads()).toEqual([{ sum: 1 }]);
  });

  it('that the definition does not have is refused, naming those it has', async () => {
    const { publisher } = await setup();
    const enqueue = publisher.enqueue(Sums, { sum: 2 }, by('ad'));
    await expect(enqueue).rejects.toThrow(InvalidOptionsError);
    await expect(enqueue).rejects.toThrow('has no reducer "ad"; it has add, slowly, wrongly, badly');
    await expect(publisher.enqueue('sums', {}, by('add'))).rejects.toThrow('has no reducer "add"');
  });

  it('gets the waiting payload in the newest version, which the job has from then on', async () => {
    const { database, jobs, publisher, payloads } = await setup();
    await jobs.insert('sums', { payload: '{"total": 1}', unique_key: 'all' });
    const queue = defineQueue('sums', {
      version: 2,
      upcasters: { 1: ({ total }: { total: number }) => ({ sum: total }) },
      reducers: { add: (a: { sum: number }, b: { sum: number }) => ({ sum: a.sum + b.sum }) },
    });
    await publisher.enqueue(queue, { sum: 2 }, by('add'));
    expect(await payloads()).toEqual([{ sum: 3 }]);
    expect(await database.query(`select meta from ${jobs.schema}.jobs`)).toEqual([{ meta: { version: 2 } }]);
  });

  it('leaves a waiting job of a later version than it knows alone: both run', async () => {
    const { jobs, publisher, payloads } = await setup();
    await jobs.insert('sums', { payload: '{"new": 1}', unique_key: 'all', meta: { version: 2 } });
    expect(await publisher.enqueue(Sums, { sum: 2 }, by('add'))).toMatchObject({ deduplicated: false });
    await publisher.enqueue(Sums, { sum: 3 }, by('add'));
    expect(await payloads()).toEqual([{ new: 1 }, { sum: 5 }]);
  });
});

describe("'merge'", () => {
  it('does not make one payload of two versions: both run', async () => {
    const { publisher, payloads } = await setup();
    const merge = { unique: { key: 'all', onConflict: 'merge' as const } };
    const next = defineQueue('sums', { version: 2, upcasters: { 1: (payload: object) => payload } });
    await publisher.enqueue('sums', { a: 1 }, merge);
    await publisher.enqueue(next, { b: 2 }, merge);
    await publisher.enqueue(next, { c: 3 }, merge);
    expect(await payloads()).toEqual([{ a: 1 }, { b: 2, c: 3 }]);
  });
});
