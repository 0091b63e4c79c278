import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { defineQueue, type QueueLimits, rateLimited } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

/**
 * When each job of a queue was claimed and when it was settled, written by triggers of the test in the transactions that did it,
 * by the database's clock.
 */
async function spans(database: TestDatabase): Promise<() => Promise<Span[]>> {
  const schema = `"${database.schema}"`;
  await database.query(`
    create table span (seq bigint primary key, job_id bigint, key text, claimed_at timestamptz not null, settled_at timestamptz);
    create function span_begin() returns trigger language plpgsql as $$
    begin
      insert into span (seq, claimed_at) select seq, clock_timestamp() from unnest(new.seqs) as seq;
      return null;
    end $$;
    create trigger span after insert on ${schema}.leases for each row execute function span_begin();
    create function span_end() returns trigger language plpgsql as $$
    begin
      update span set settled_at = clock_timestamp(), job_id = old.id, key = old.group_key where seq = old.seq;
      return null;
    end $$;
    create trigger span after delete or update of seq on ${schema}.jobs for each row execute function span_end()`);
  return () =>
    database.query<Span & Record<string, unknown>>(
      `select key, extract(epoch from claimed_at)::float8 * 1000 as claimed, extract(epoch from settled_at)::float8 * 1000 as settled
         from span order by claimed_at`,
    );
}

interface Span {
  readonly key: string | null;
  /** Milliseconds since 1970. */
  readonly claimed: number;
  readonly settled: number;
}

/** The most spans that were open at one moment. */
function mostAtOnce(all: readonly Span[]): number {
  const moves = all.flatMap(({ claimed, settled }) => [
    { at: claimed, by: 1 },
    { at: settled, by: -1 },
  ]);
  let [open, most] = [0, 0];
  for (const { by } of moves.toSorted((a, b) => a.at - b.at || a.by - b.by)) {
    open += by;
    most = Math.max(most, open);
  }
  return most;
}

/** The most starts in any window of that length. */
function mostStarts(all: readonly Span[], periodMs: number): number {
  const starts = all.map((span) => span.claimed);
  return Math.max(
    ...starts.map((at) => starts.filter((other) => other >= at && other < at + periodMs).length),
  );
}

/** Jobs of a queue with limits, run by several workers. */
async function run(limits: QueueLimits, count: number, workMs: () => number, workers = 3): Promise<Span[]> {
  const database = await testDatabase();
  const queue = defineQueue<{ n: number }>('mail', limits as never);
  const { publisher } = await openEngine(database);
  const all = await spans(database);
  await publisher.enqueueMany(queue, numbers(count));
  const handler = { ...limits, concurrency: 10, handle: () => delay(workMs()) };
  await Promise.all(Array.from({ length: workers }, () => workingEngine(database, { mail: handler })));
  await new JobTable(database).empty({ timeoutMs: 60_000 });
  return all();
}

describe('the concurrency of a queue in all processes', () => {
  it('is never exceeded, and used', async () => {
    const all = await run({ globalConcurrency: 4 }, 300, () => Math.random() * 5);
    expect(all).toHaveLength(300);
    expect(mostAtOnce(all)).toBe(4);
  });

  it('counts what a dead worker holds until it is rescued', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const [first] = [await jobs.insert('mail'), await jobs.insert('mail')];
    await database.query(
      `with dead as (insert into ${jobs.schema}.workers (name, expires_at) values ('dead', now() + interval '1 second') returning id)
       insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
       select dead.id, 'mail', 0, array[job.seq], array[job.id] from dead, ${jobs.schema}.jobs as job where job.id = $1`,
      [first],
    );
    const all = await spans(database);
    const { log } = await workingEngine(database, {
      mail: { globalConcurrency: 1, handle: () => undefined },
    });
    await jobs.empty();
    const [rescued] = log.of('rescued').values;
    expect(rescued).toMatchObject({ jobId: first });
    const [started] = await all();
    expect(started!.claimed).toBeGreaterThan(rescued!.at.getTime() - 500);
  });

  it('can be changed while jobs wait, and taken away', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await jobs.insertMany('mail', 3);
    const closed = gate();
    const handle = () => closed.pass();
    const first = await workingEngine(database, { mail: { globalConcurrency: 1, handle } });
    await closed.reached(1);
    expect(first.taskmaster.running).toBe(1);
    await workingEngine(database, { mail: { handle } }, { name: 'newer' });
    await closed.reached(3);
    closed.open();
    await jobs.empty();
  });

  it('applies without bells', async () => {
    const database = await testDatabase();
    const all = await spans(database);
    await new JobTable(database).insertMany('mail', 30);
    await workingEngine(database, { mail: { globalConcurrency: 2, handle: () => delay(2) } }, NO_BELLS);
    await new JobTable(database).empty();
    expect(mostAtOnce(await all())).toBe(2);
  });
});

describe('the concurrency of a key', () => {
  const key = ({ n }: { n: number }) => `key ${n % 5}`;

  it('is never exceeded, and used, without an order', async () => {
    const all = await run({ keyConcurrency: { key, limit: 2 } }, 300, () => Math.random() * 5);
    expect(all).toHaveLength(300);
    const keys = [...new Set(all.map((span) => span.key))];
    expect(keys.toSorted()).toEqual(['key 0', 'key 1', 'key 2', 'key 3', 'key 4']);
    for (const one of keys) expect(mostAtOnce(all.filter((span) => span.key === one))).toBe(2);
  });

  it('may be another one for each key', async () => {
    const limit = (one: string) => Number(one.at(-1)) + 1;
    const all = await run({ keyConcurrency: { key, limit } }, 200, () => Math.random() * 5);
    for (const [index, most] of [1, 2, 3, 4, 5].entries())
      expect(mostAtOnce(all.filter((span) => span.key === `key ${index}`))).toBeLessThanOrEqual(most);
  });

  it('leaves jobs without a key alone', async () => {
    const database = await testDatabase();
    const closed = gate();
    const keyConcurrency = { key: ({ n }: { n: number }) => (n === 0 ? undefined : 'a'), limit: 1 };
    const options = { keyConcurrency: keyConcurrency as never, handle: () => closed.pass() };
    const { taskmaster } = await workingEngine(database, { mail: options });
    await taskmaster.publisher.enqueueMany('mail', [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 0 }]);
    await closed.reached(3);
    expect(taskmaster.running).toBe(3);
  });

  it('excludes groups, and a key must be text', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const keyed = defineQueue<{ n: number }>('mail', { keyConcurrency: { key, limit: 1 } });
    await expect(publisher.enqueue(keyed, { n: 1 }, { group: 'a' })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
    const broken = defineQueue('mail', { keyConcurrency: { key: () => 7 as never, limit: 1 } });
    await expect(publisher.enqueue(broken, {})).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('the rate of a queue', () => {
  it('is never exceeded in any period, and used', async () => {
    const all = await run({ rateLimit: { limit: 20, periodMs: 500 } }, 70, () => 0);
    expect(mostStarts(all, 499)).toBe(20);
    const tookMs = all.at(-1)!.claimed - all[0]!.claimed;
    expect(tookMs).toBeGreaterThanOrEqual(1_490);
    expect(tookMs).toBeLessThan(4_000);
  });

  it('of each key is never exceeded in any period', async () => {
    const rateLimit = { limit: 5, periodMs: 400, key: (({ n }: { n: number }) => `k${n % 3}`) as never };
    const all = await run({ rateLimit }, 45, () => Math.random() * 3);
    expect(all).toHaveLength(45);
    for (const key of ['k0', 'k1', 'k2'])
      expect(
        mostStarts(
          all.filter((span) => span.key === key),
          399,
        ),
      ).toBe(5);
  });
});

describe('the rate of a key that is full', () => {
  it('does not hold up a job of another key that comes later', async () => {
    const database = await testDatabase();
    const rateLimit = { limit: 1, periodMs: 3_600_000, key: (({ key }: { key: string }) => key) as never };
    const { taskmaster, log } = await workingEngine(database, {
      mail: { rateLimit, handle: () => undefined },
    });
    await taskmaster.publisher.enqueueMany('mail', [{ key: 'a' }, { key: 'a' }]);
    await log.of('completed').count(1);
    await taskmaster.publisher.enqueue('mail', { key: 'b' });
    await log.of('completed').count(2);
  });
});

describe('rateLimited()', () => {
  it('holds the whole queue back, in all processes, and spends no attempt', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const starts: { at: number; runCount: number }[] = [];
    const handler = {
      maxAttempts: 1,
      concurrency: 1,
      handle: (job: { runCount: number }) => {
        starts.push({ at: performance.now(), runCount: job.runCount });
        if (starts.length === 1) throw rateLimited({ retryAfterMs: 700 });
      },
    };
    await jobs.insert('mail');
    const engines = await Promise.all([1, 2].map(() => workingEngine(database, { mail: handler })));
    await eventually(() => engines.some(({ log }) => log.of('snoozed').values.length > 0));
    await jobs.insertMany('mail', 5);
    await jobs.empty();
    expect(starts).toHaveLength(7);
    expect(starts[1]!.at - starts[0]!.at).toBeGreaterThan(690);
    expect(starts.every((start) => start.runCount === 1)).toBe(true);
  });
});
