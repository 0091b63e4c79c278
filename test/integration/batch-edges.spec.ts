import { describe, expect, it } from 'vitest';
import {
  JobTimeoutError,
  LeaseLostError,
  ShutdownError,
  type Job,
  type JobBatch,
} from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { batchEngine } from './support/batch-engine.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

const LONG_MS = 60_000;
/** The lease, a rescue that has just missed its end, and what a busy machine adds. */
const RESCUED_MS = SHORT_LEASE.ttlMs + 1.5 * SHORT_LEASE.heartbeatMs + 3_000;
/** What storing, signing off and closing take on a busy machine. */
const CLOSING_MS = 3_000;

/** What the first process takes that runs the sources after a change of them, on a machine that many share. */
const COLD_START_MS = 40_000;

/** Jobs that are there when the engine starts, so that its first claim brings them all. */
async function waiting(count: number) {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  return { database, jobs, ids: await jobs.insertMany('mail', count) };
}

/** A handler that stays until it is let go on, and says why the signal of its batch was aborted. */
function holding() {
  const closed = gate();
  const reasons = new SignalPoint<unknown>();
  const handle = (_payloads: never[], { signal }: JobBatch<never>) => {
    signal.addEventListener('abort', () => reasons.signal(signal.reason));
    return closed.pass();
  };
  return { closed, reasons, handle };
}

const states = async (jobs: JobTable) => (await jobs.all()).map((job) => [job.id, job.state, job.run_count]);

describe('a batch that outlives its timeout', () => {
  it('is told by its signal, all its attempts have failed, and its slot is free', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { closed, reasons, handle } = holding();
    const { log, batches } = await batchEngine(database, {
      size: 2,
      concurrency: 1,
      timeoutMs: 200,
      backoff: LONG_MS,
      handle: (payloads, all) => (batches.values.length === 1 ? handle(payloads, all) : undefined),
    });
    expect(await reasons.count(1)).toEqual([expect.any(JobTimeoutError)]);
    await log.of('retried').count(2);
    expect(log.of('stuck').values).toMatchObject(ids.map((jobId) => ({ jobId, runCount: 1 })));
    const next = await jobs.insert('mail');
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: next }]);
    closed.open(); // what it says now no longer counts
    expect(await jobs.all()).toMatchObject(
      ids.map((id) => ({ id, state: 'scheduled', run_count: 1, last_error: { code: 'TM_JOB_TIMEOUT' } })),
    );
  });

  it('goes on for the jobs that were enqueued with more time', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { publisher } = await openEngine(database);
    const [short, long] = await publisher.enqueueMany([
      { queue: 'mail', timeoutMs: 100, maxAttempts: 1 },
      { queue: 'mail' },
    ]);
    const { closed, reasons, handle } = holding();
    const { log } = await batchEngine(database, { size: 2, handle });
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: short!.id }]);
    closed.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: long!.id }]);
    expect(reasons.values).toEqual([]);
    expect((await jobs.all()).map((job) => job.id)).toEqual([short!.id]);
  });
});

describe('a worker that stops', () => {
  it('hands back at once what waits for its batch to fill', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { taskmaster, batches } = await batchEngine(database, { size: 3, waitMs: LONG_MS });
    await jobs.in(ids[0]!, 'running');
    const before = performance.now();
    await taskmaster.stop();
    expect(performance.now() - before).toBeLessThan(CLOSING_MS);
    expect(await states(jobs)).toEqual(ids.map((id) => [id, 'ready', 0]));
    expect(batches.values).toEqual([]);
  });

  it('waits for the batches that run', async () => {
    const { database, jobs } = await waiting(2);
    const { closed, reasons, handle } = holding();
    const { taskmaster, log } = await batchEngine(database, { size: 2, handle });
    await closed.reached(1);
    const stopped = taskmaster.stop();
    await log.of('engineDraining').count(1);
    expect(taskmaster.running).toBe(2);
    closed.open();
    await stopped;
    expect(log.of('completed').values).toHaveLength(2);
    expect([await jobs.all(), reasons.values]).toEqual([[], []]);
  });

  it('tells those that take too long, and hands their jobs back without spending an attempt', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { closed, reasons, handle } = holding();
    const { taskmaster, log } = await batchEngine(
      database,
      { size: 2, handle },
      { shutdown: { drainTimeoutMs: 100 } },
    );
    await closed.reached(1);
    await taskmaster.stop();
    expect(reasons.values).toEqual([expect.any(ShutdownError)]);
    expect(log.of('released').values).toMatchObject(ids.map((jobId) => ({ jobId })));
    expect(await states(jobs)).toEqual(ids.map((id) => [id, 'ready', 0]));
  });
});

describe('a queue that is paused', () => {
  it('takes back what waits for its batch to fill', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { batches, log } = await batchEngine(database, { size: 3, waitMs: LONG_MS });
    await jobs.in(ids[0]!, 'running');
    await database.query(`select ${jobs.schema}.pause('mail')`);
    await log.of('released').count(2);
    expect(await states(jobs)).toEqual(ids.map((id) => [id, 'ready', 0]));
    const last = await jobs.insert('mail');
    await database.query(`select ${jobs.schema}.resume('mail')`);
    expect((await batches.count(1))[0]!.toSorted()).toEqual([...ids, last].toSorted());
    expect(batches.values).toHaveLength(1);
    await jobs.empty();
  });
});

describe('a process that is killed', { timeout: 2 * COLD_START_MS }, () => {
  it('has all jobs of its batches run again by another, also those that waited for their batch to fill', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload) select 'mail', '{"hold": true}' from generate_series(1, 12)`,
    );
    const child = workerChild(database, {
      queue: 'mail',
      concurrency: 3,
      batch: { size: 5, waitMs: LONG_MS }, // two run, one of two jobs waits
    });
    await child.line(/^ready/, { timeoutMs: COLD_START_MS });
    await eventually(() => linesOf(child, 'batch').length === 2);
    child.kill('SIGKILL');
    const runs = new SignalPoint<Job>();
    const handle = (_payloads: never[], all: JobBatch<never>) => all.forEach(runs.signal);
    await batchEngine(database, { size: 5, handle });
    const again = await runs.count(12, { timeoutMs: RESCUED_MS });
    expect(new Set(again.map((job) => job.id)).size).toBe(12);
    expect(again.map((job) => job.runCount)).toEqual(again.map(() => 2));
    await jobs.empty();
  });

  it('leaves those of its jobs failed that may be attempted once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await jobs.insertMany('mail', 2);
    const dying = await jobs.insert('mail', { payload: '{"die": true}' });
    const child = workerChild(database, { queue: 'mail', maxAttempts: 1, batch: { size: 3 } });
    expect(await child.exit({ timeoutMs: COLD_START_MS })).toMatchObject({ signal: 'SIGKILL' });
    const { batches } = await batchEngine(database, { size: 3, maxAttempts: 1 });
    await jobs.in(dying, 'failed', { timeoutMs: RESCUED_MS });
    expect(await jobs.all()).toMatchObject(
      [1, 2, 3].map(() => ({ state: 'failed', run_count: 1, last_error: { code: 'TM_WORKER_LOST' } })),
    );
    expect(batches.values).toEqual([]);
  });

  it('again and again by one job, takes the others of its batch down no more than `maxCrashes` allows', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const lease = { ttlMs: 900, heartbeatMs: 200, heartbeat: 'main', maxCrashes: 2 } as const;
    await jobs.insertMany('mail', 3);
    const dying = await jobs.insert('mail', { payload: '{"die": true}' });
    const batch = { size: 4, waitMs: 100 };
    const done = eventually(async () => (await jobs.all()).every((job) => job.state === 'failed'), {
      timeoutMs: COLD_START_MS,
    });
    for (let died = true; died;) {
      const child = workerChild(database, { queue: 'mail', batch }, { lease });
      died = await Promise.race([
        done.then(() => false),
        child.exit({ timeoutMs: COLD_START_MS }).then(() => true),
      ]);
    }
    expect(await jobs.all()).toMatchObject([{ id: dying, state: 'failed', crash_count: 2 }]);
  });
});

describe('a worker that was cut off for longer than its lease', () => {
  it('tells its batches, and settles none of their jobs', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { proxy, connection } = await faultyProxy(database);
    const { closed, reasons, handle } = holding();
    const { log } = await batchEngine(database, { size: 2, handle }, { connection });
    await closed.reached(1);
    const other = await batchEngine(database, { size: 2 }, { name: 'other' });
    proxy.blackhole();
    expect(await reasons.count(1)).toEqual([expect.any(LeaseLostError)]);
    await other.log.of('completed').count(2);
    await other.taskmaster.stop();
    proxy.refuse(); // its connections end, so that it learns at once that the network is back
    proxy.pass();
    closed.open();
    await log.of('leaseLost').count(2);
    expect(log.of('completed').values).toEqual([]);
    expect(other.batches.values.flat().toSorted()).toEqual(ids.toSorted());
    await jobs.empty();
  });
});

describe('a job on its last chance', () => {
  it('runs in a batch of its own, and lets no batch wait to be filled meanwhile', async () => {
    const { database, jobs, ids } = await waiting(1);
    const { batches } = await batchEngine(database, { size: 3, waitMs: LONG_MS });
    await jobs.in(ids[0]!, 'running');
    const alone = await jobs.insert('mail', { crash_count: 2, run_count: 2, run_alone: true });
    expect(await batches.count(2)).toEqual([ids, [alone]]);
    await jobs.empty();
  });
});

describe('two versions of the application', () => {
  it('share a queue, whose handler gets jobs in one and batches in the other', async () => {
    const { database, jobs, ids } = await waiting(200);
    const single: string[] = [];
    const entry = { concurrency: 5, handle: (job: Job<never>) => void single.push(job.id) };
    const [old, { batches }] = await Promise.all([
      workingEngine(database, { mail: entry }, { name: 'old' }),
      batchEngine(database, { size: 10, waitMs: 20, concurrency: 2 }, { name: 'new' }),
    ]);
    const { publisher } = old.taskmaster;
    const more = await publisher.enqueueMany('mail', Array.from({ length: 200 }));
    await jobs.empty();
    const all = [...single, ...batches.values.flat()];
    expect(all.toSorted()).toEqual([...ids, ...more.map((job) => job.id)].toSorted());
  });
});
