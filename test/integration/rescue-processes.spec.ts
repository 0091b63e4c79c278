import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

/** The lease, a rescue that has just missed its end, and what a busy machine adds. */
const RESCUED_MS = SHORT_LEASE.ttlMs + 1.5 * SHORT_LEASE.heartbeatMs + 3_000;

describe('a process that is killed', () => {
  it('has all its jobs run again by another', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload) select 'mail', '{"hold": true}' from generate_series(1, 20)`,
    );
    const child = workerChild(database, { queue: 'mail', concurrency: 20 });
    await child.line(/^ready/);
    await eventually(() => linesOf(child, 'started').length === 20);

    const runs = new SignalPoint<{ id: string; runCount: number }>();
    const handle = (job: Job<never>) => runs.signal({ id: job.id, runCount: job.runCount });
    const { log } = await workingEngine(database, { mail: handle });
    const killedAt = performance.now();
    child.kill('SIGKILL');
    const again = await runs.count(20, { timeoutMs: RESCUED_MS });
    expect(performance.now() - killedAt).toBeGreaterThan(SHORT_LEASE.ttlMs - SHORT_LEASE.heartbeatMs * 2);
    expect(again.map((run) => run.runCount)).toEqual(again.map(() => 2));
    expect(new Set(again.map((run) => run.id)).size).toBe(20);
    await jobs.empty();
    await log.of('rescued').count(20);
    expect(log.of('rescued').values.every((event) => event.runCount === 1 && !event.failed)).toBe(true);
  });

  it('leaves a job that says so: it lost its worker', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    const child = workerChild(database, { queue: 'mail' });
    await child.line(/^started/);
    await workingEngine(database, { other: () => undefined });
    child.kill('SIGKILL');
    expect(await jobs.in(id, 'ready', { timeoutMs: RESCUED_MS })).toMatchObject({
      run_count: 1,
      crash_count: 1,
      last_error: { name: 'WorkerLost', code: 'TM_WORKER_LOST' },
    });
  });
});

describe('a process that is frozen for longer than its lease', () => {
  it('is taken over, cannot settle its jobs when it wakes, and works on under a new id', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    const child = workerChild(database, { queue: 'mail' });
    await child.line(/^started/);
    const [frozen] = await jobs.workers();
    const other = await workingEngine(database, { mail: () => undefined });
    child.kill('SIGSTOP');
    expect(await other.log.of('completed').count(1, { timeoutMs: RESCUED_MS })).toMatchObject([
      { jobId: id, runCount: 2 },
    ]);
    await other.taskmaster.stop();

    child.kill('SIGCONT');
    await child.line(new RegExp(`^aborted ${id} TM_LEASE_LOST`));
    child.kill('SIGUSR2'); // its handler returns at last
    await child.line(new RegExp(`^event leaseLost ${id}`));
    expect(linesOf(child, 'event completed')).toEqual([]);

    const next = await jobs.insert('mail', { payload: '{}' });
    await child.line(new RegExp(`^event completed ${next}`));
    expect(linesOf(child, 'event workerLost').length).toBeGreaterThan(0);
    await jobs.empty();
    expect(await jobs.workers()).not.toContain(frozen);
  });

  it('does not take its own jobs away from itself when nobody else is there', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    const child = workerChild(database, { queue: 'mail' });
    await child.line(/^started/);
    child.kill('SIGSTOP');
    await eventually(async () => {
      const [worker] = await database.query<{ expired: boolean }>(
        `select expires_at < now() - interval '500 ms' as expired from ${jobs.schema}.workers`,
      );
      return worker!.expired;
    });
    child.kill('SIGCONT');
    await eventually(async () => {
      const rows = await database.query(`select from ${jobs.schema}.workers where expires_at > now()`);
      return rows.length > 0;
    });
    child.kill('SIGUSR2');
    await child.line(new RegExp(`^event completed ${id}`));
    expect(linesOf(child, 'started')).toEqual([`started ${id} 1`]);
    expect(linesOf(child, 'event rescued')).toEqual([]);
  });
});

describe('a job that kills its process', () => {
  it('fails after maxCrashes, and takes no other job with it', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload)
       select 'mail', case n when 20 then '{"die": true}' else '{"workMs": 5}' end::jsonb from generate_series(1, 100) as n`,
    );
    const lease = { ttlMs: 900, heartbeatMs: 200, heartbeat: 'main', maxCrashes: 3 } as const;
    const done = eventually(async () => (await jobs.all()).every((job) => job.state === 'failed'), {
      timeoutMs: 25_000,
    });
    let started = 0;
    for (let died = true; died;) {
      const child = workerChild(database, { queue: 'mail', concurrency: 5 }, { lease });
      started += 1;
      died = await Promise.race([done.then(() => false), child.exit({ timeoutMs: 25_000 }).then(() => true)]);
    }
    expect(await jobs.all()).toMatchObject([
      { id: '20', state: 'failed', crash_count: 3, last_error: { code: 'TM_WORKER_LOST' } },
    ]);
    expect(started).toBe(4);
  });

  it('runs once when it may be attempted once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { payload: '{"die": true}' });
    const child = workerChild(database, { queue: 'mail', maxAttempts: 1 });
    expect(await child.exit()).toMatchObject({ signal: 'SIGKILL' });
    const ran: string[] = [];
    await workingEngine(database, { mail: { maxAttempts: 1, handle: (job) => void ran.push(job.id) } });
    expect(await jobs.in(id, 'failed')).toMatchObject({
      run_count: 1,
      crash_count: 1,
      last_error: { code: 'TM_WORKER_LOST' },
    });
    expect(ran).toEqual([]);
  });
});
