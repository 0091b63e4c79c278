import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { retry, type Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** What ran, in the order of the starts, and how many of a group ran at once at most. */
class Runs {
  readonly started: { readonly group: string; readonly n: number }[] = [];
  readonly most = new Map<string, number>();
  readonly #running = new Map<string, number>();

  readonly handle = async (job: Job<{ n: number }>): Promise<void> => {
    const group = job.group ?? '';
    this.started.push({ group, n: job.payload.n });
    this.#move(group, 1);
    await delay(Math.random() * 3);
    this.#move(group, -1);
  };

  of(group: string): number[] {
    return this.started.filter((run) => run.group === group).map((run) => run.n);
  }

  #move(group: string, by: number): void {
    const running = (this.#running.get(group) ?? 0) + by;
    this.#running.set(group, running);
    this.most.set(group, Math.max(this.most.get(group) ?? 0, running));
  }
}

const ascending = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);

describe('a group', () => {
  it('runs one at a time and in the order of its enqueues, over several workers', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const runs = new Runs();
    const engines = [1, 2, 3].map(() => workingEngine(database, { mail: runs.handle }));
    const groups = ['a', 'b', 'c', 'd'];
    for (let n = 0; n < 40; n += 1) {
      await Promise.all(groups.map((group) => publisher.enqueue('mail', { n }, { group })));
      if (n === 10) await Promise.all(engines);
    }
    await new JobTable(database).empty({ timeoutMs: 30_000 });
    for (const group of groups) {
      expect(runs.of(group)).toEqual(ascending(runs.of(group)));
      expect(runs.of(group)).toHaveLength(40);
      expect(runs.most.get(group)).toBe(1);
    }
  });

  it('is held up by a member that waits for its retry, and by one that waits for its time', async () => {
    const database = await testDatabase();
    const started = new SignalPoint<string>();
    const handle = (job: Job<string>) => {
      started.signal(`${job.payload} ${job.runCount}`);
      return job.payload === 'retried' && job.runCount === 1 ? retry({ delayMs: 100 }) : undefined;
    };
    const { taskmaster } = await workingEngine(database, { mail: handle });
    const { publisher } = taskmaster;
    await publisher.enqueue('mail', 'retried', { group: 'a' });
    await publisher.enqueue('mail', 'delayed', { group: 'a', delayMs: 400 });
    await publisher.enqueueMany('mail', ['last', 'very last'], { group: 'a' });
    expect(await started.count(5)).toEqual(['retried 1', 'retried 2', 'delayed 1', 'last 1', 'very last 1']);
  });

  const failing = async (onFailure: 'skip' | 'block') => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    let broken = true;
    const handle = (job: Job<string>) => {
      if (job.payload === 'bad' && broken) throw new Error('bad');
    };
    const options = { onFailure, maxAttempts: 1, handle };
    const { taskmaster, log } = await workingEngine(database, { mail: options });
    const bad = await taskmaster.publisher.enqueue('mail', 'bad', { group: 'a' });
    const good = await taskmaster.publisher.enqueue('mail', 'good', { group: 'a' });
    await log.of('failed').count(1);
    return { database, jobs, bad, good, log, mend: () => (broken = false) };
  };

  it('goes on after a failure', async () => {
    const { good, log } = await failing('skip');
    expect((await log.of('completed').count(1))[0]?.jobId).toBe(good.id);
  });

  it('is blocked by a failure until it is requeued, where the queue says so', async () => {
    const { database, jobs, bad, good, log, mend } = await failing('block');
    await taskOfOtherGroup(jobs, log);
    expect(await jobs.of(good.id)).toMatchObject({ state: 'ready' });
    mend();
    await database.query(`update ${jobs.schema}.jobs set run_count = 0 where id = $1`, [bad.id]);
    expect((await log.of('completed').count(3)).map((event) => event.jobId).slice(1)).toEqual([
      bad.id,
      good.id,
    ]);
  });

  it('is blocked no longer when what failed is deleted', async () => {
    const { database, jobs, bad, good, log } = await failing('block');
    await taskOfOtherGroup(jobs, log);
    await database.query(`delete from ${jobs.schema}.jobs where id = $1`, [bad.id]);
    await jobs.insert('mail', { group_key: 'c', payload: '"wake up"' });
    const completed = (await log.of('completed').count(3)).map((event) => event.jobId);
    expect(completed).toContain(good.id);
  });

  /** By the time this has run, whatever else could run had its chance. */
  const taskOfOtherGroup = async (jobs: JobTable, log: Awaited<ReturnType<typeof workingEngine>>['log']) => {
    await jobs.insert('mail', { group_key: 'b', payload: '"other"' });
    await log.of('completed').count(1);
  };

  it('runs several at once when it may, and never more', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const runs = new Runs();
    await publisher.enqueueMany(
      'mail',
      Array.from({ length: 60 }, (_, n) => ({ n })),
      { group: 'a' },
    );
    await publisher.enqueueMany(
      'mail',
      Array.from({ length: 60 }, (_, n) => ({ n })),
      { group: 'b', groupConcurrency: 5 },
    );
    const options = { concurrency: 20, groupConcurrency: 2, handle: runs.handle };
    await Promise.all([1, 2].map(() => workingEngine(database, { mail: options })));
    await new JobTable(database).empty({ timeoutMs: 30_000 });
    expect(Object.fromEntries(runs.most)).toEqual({ a: 2, b: 5 });
    expect(runs.started).toHaveLength(120);
  });

  it('with a hundred thousand jobs does not hold up one with ten', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    await database.query(
      `insert into "${database.schema}".jobs (queue_name, payload, group_key)
       select 'mail', jsonb_build_object('n', n), 'big' from generate_series(1, 100000) as n`,
    );
    await publisher.enqueueMany(
      'mail',
      Array.from({ length: 10 }, (_, n) => ({ n })),
      { group: 'small' },
    );
    const runs = new Runs();
    const small = new SignalPoint();
    const handle = async (job: Job<{ n: number }>) => {
      await runs.handle(job);
      if (job.group === 'small') small.signal();
    };
    await workingEngine(database, { mail: { concurrency: 1, handle } });
    await small.count(10, { timeoutMs: 20_000 });
    expect(runs.of('big').length).toBeLessThan(40);
  });

  it('and jobs without one share the slots', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const list = Array.from({ length: 300 }, (_, n) => ({ n }));
    await publisher.enqueueMany('mail', list);
    await publisher.enqueueMany('mail', list, { group: 'a' });
    const runs = new Runs();
    await workingEngine(database, { mail: { concurrency: 2, handle: runs.handle } });
    await new JobTable(database).empty({ timeoutMs: 30_000 });
    expect(runs.of('')).toHaveLength(300);
    expect(runs.of('a')).toEqual(ascending(runs.of('a')));
    const firstHalf = runs.started.slice(0, 300).filter((run) => run.group === 'a').length;
    expect(firstHalf).toBeGreaterThan(5); // one each time that what was claimed ahead has run
  });

  it('goes on when the worker of its running member dies, with that member', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const first = await jobs.insert('mail', { group_key: 'a', payload: '{"n": 1}' });
    const second = await jobs.insert('mail', { group_key: 'a', payload: '{"n": 2}' });
    await database.query(
      `with dead as (insert into ${jobs.schema}.workers (name, expires_at) values ('dead', now()) returning id)
       insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
       select dead.id, 'mail', 0, array[job.seq], array[job.id] from dead, ${jobs.schema}.jobs as job where job.id = $1`,
      [first],
    );
    const { log } = await workingEngine(database, { mail: () => undefined });
    const completed = (await log.of('completed').count(2)).map((event) => [event.jobId, event.runCount]);
    expect(completed).toEqual([
      [first, 2],
      [second, 1],
    ]);
  });

  it('hands its running member back at a shutdown, and another worker begins with it', async () => {
    const database = await testDatabase();
    const closed = gate();
    const order: string[] = [];
    const handle = async (job: Job<string>) => {
      order.push(job.payload);
      if (order.length === 1) await closed.pass(job.signal);
    };
    const first = await workingEngine(database, { mail: handle }, { shutdown: { drainTimeoutMs: 0 } });
    await first.taskmaster.publisher.enqueueMany('mail', ['one', 'two'], { group: 'a' });
    await closed.reached(1);
    await first.taskmaster.stop();
    const second = await workingEngine(database, { mail: handle });
    await second.log.of('completed').count(2);
    expect(order).toEqual(['one', 'one', 'two']);
  });
});
