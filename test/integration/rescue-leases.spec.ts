import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

/** Leases of one job each, of a worker that is dead: the jobs of the queue that nobody has taken yet. */
async function leaseToDead(database: TestDatabase, jobs: JobTable, queue: string): Promise<void> {
  await database.query(
    `with dead as (insert into ${jobs.schema}.workers (name, expires_at) values ('dead', '-infinity') returning id),
          held as (insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
                   select dead.id, job.queue_name, job.priority, array[job.seq], array[job.id]
                     from dead, ${jobs.schema}.jobs as job where job.queue_name = $1)
     insert into ${jobs.schema}.lanes (queue_name, priority, head) select $1, 0, max(seq) from ${jobs.schema}.jobs`,
    [queue],
  );
}

describe('a dead worker', () => {
  it('with hundreds of leases is rescued at once, not over minutes', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await jobs.insertMany('mail', 450);
    await leaseToDead(database, jobs, 'mail');
    const lease = { ttlMs: 9_000, heartbeatMs: 3_000, heartbeat: 'main' } as const;
    const { log } = await workingEngine(database, { other: () => undefined }, { lease });
    const rescued = await log.of('rescued').count(450);
    const tookMs = rescued.at(-1)!.at.getTime() - rescued[0]!.at.getTime();
    expect(tookMs).toBeLessThan(lease.heartbeatMs / 2); // all in one pass
    expect(new Set(rescued.map((event) => event.jobId)).size).toBe(450);
  });

  it('is rescued by workers of other queues too', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail');
    await leaseToDead(database, jobs, 'mail');
    const { log } = await workingEngine(database, { other: () => undefined });
    expect(await log.of('rescued').count(1)).toMatchObject([{ jobId: id, queue: 'mail' }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'ready', run_count: 1, crash_count: 1 });
  });

  it('leaves its jobs failed when they may not be attempted again', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const exhausted = await jobs.insert('mail', { max_attempts: 3, run_count: 2 });
    const crashed = await jobs.insert('mail', { crash_count: 2, run_count: 2 });
    const fine = await jobs.insert('mail', { crash_count: 1, run_count: 1 });
    await leaseToDead(database, jobs, 'mail');
    const { log } = await workingEngine(database, { other: () => undefined });
    await log.of('rescued').count(3);
    expect(await jobs.of(exhausted)).toMatchObject({ state: 'failed', run_count: 3 });
    expect(await jobs.of(crashed)).toMatchObject({ state: 'failed', crash_count: 3 });
    expect(await jobs.of(fine)).toMatchObject({ state: 'ready', crash_count: 2 });
    const failed = log.of('rescued').values.filter((event) => event.failed);
    expect(failed.map((event) => event.jobId).toSorted()).toEqual([exhausted, crashed].toSorted());
  });
});

describe('a job on its last chance', () => {
  const lastChance = { crash_count: 2, run_count: 2, run_alone: true };

  it('runs with nothing beside it', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const beside: number[] = [];
    const handle = async (job: Job<never>) => {
      if (job.id === alone) beside.push(taskmaster.running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (job.id === alone) beside.push(taskmaster.running);
    };
    await jobs.insertMany('mail', 100);
    const alone = await jobs.insert('mail', lastChance);
    await jobs.insertMany('mail', 100);
    const { taskmaster } = await workingEngine(database, { mail: { concurrency: 10, handle } });
    await jobs.empty();
    expect(beside).toEqual([1, 1]);
  });

  it('holds up nobody but the worker that runs it', async () => {
    const { database, jobs, closed, hold } = await besideLongHandler();
    const first = await workingEngine(database, { alone: () => hold.pass() }, { name: 'first' });
    await jobs.insert('alone', lastChance);
    await hold.reached(1);
    await quickJobsPass(jobs);
    hold.open();
    closed.open();
    await first.log.of('completed').count(1);
  });

  it('holds up nobody while its queue is paused', async () => {
    const { database, jobs, closed } = await besideLongHandler();
    await database.query(`insert into ${jobs.schema}.queues (name, paused_at) values ('alone', now())`);
    await jobs.insert('alone', lastChance);
    await expect(quickJobsPass(jobs)).resolves.toBeUndefined();
    closed.open();
  });

  /** An engine that is never empty, and would have to wait for that. */
  const besideLongHandler = async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const [closed, hold] = [gate(), gate()];
    const handlers = { long: () => closed.pass(), quick: () => undefined, alone: () => hold.pass() };
    const engine = await workingEngine(database, handlers, { name: 'second' });
    await jobs.insert('long');
    await closed.reached(1);
    return { database, jobs, closed, hold, ...engine };
  };

  /** Jobs that come one after another for some seconds, none of which may be kept waiting. */
  const quickJobsPass = async (jobs: JobTable) => {
    const end = performance.now() + 3_000;
    while (performance.now() < end) {
      const id = await jobs.insert('quick');
      await eventually(async () => (await jobs.of(id)) === undefined, { timeoutMs: 1_000 });
    }
  };
});

describe('an outage for everybody', () => {
  it.each(['blackhole', 'stall', 'refuse'] as const)(
    'that is over for one first (%s) makes nobody take the others for dead',
    async (fault) => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const [first, second] = [await faultyProxy(database), await faultyProxy(database)];
      const closed = gate();
      const aborted = new SignalPoint();
      const handle = async (job: Job<never>) => {
        job.signal.addEventListener('abort', () => aborted.signal());
        await closed.pass();
      };
      const options = { connectTimeoutMs: 1_000, lease: { ...SHORT_LEASE, ttlMs: 2_000 } };
      const owner = await workingEngine(
        database,
        { mail: handle },
        { ...options, connection: first.connection, name: 'owner' },
      );
      const other = await workingEngine(
        database,
        { other: () => undefined },
        { ...options, connection: second.connection, name: 'other' },
      );
      const id = await jobs.insert('mail');
      await closed.reached(1);
      for (const { proxy } of [first, second]) proxy[fault]();
      await aborted.count(1);
      await other.log.of('workerLost').count(1); // both know now that they have been cut off
      await new Promise((resolve) => setTimeout(resolve, options.lease.ttlMs * 1.5)); // longer than the grace of an outage that goes on
      for (const { proxy } of [second, first]) {
        if (fault !== 'stall') proxy.refuse();
        proxy.pass();
        await backIn(database, jobs, proxy === second.proxy ? 'other' : 'owner');
      }
      closed.open();
      await jobs.empty();
      expect(other.log.of('rescued').values).toEqual([]);
      expect(owner.log.of('rescued').values).toEqual([]);
      expect(await owner.log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    },
  );

  /** Resolves when an engine has beaten again, and has had the time to look for the dead. */
  const backIn = (database: TestDatabase, jobs: JobTable, name: string) =>
    eventually(async () => {
      const rows = await database.query(
        `select from ${jobs.schema}.workers where name = $1 and expires_at > now() and heartbeat_at < now() - interval '100 ms'`,
        [name],
      );
      return rows.length === 1;
    });
});
