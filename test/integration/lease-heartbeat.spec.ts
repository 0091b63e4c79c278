import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

const THREAD = { ...SHORT_LEASE, heartbeat: 'thread' } as const;

describe.each(['main', 'thread'] as const)('a heartbeat from %s', (heartbeat) => {
  const lease = { ...SHORT_LEASE, heartbeat };

  it('keeps the lease of a handler that takes longer than it', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const { log } = await workingEngine(database, { mail: () => closed.pass() }, { lease });
    const other = await workingEngine(
      database,
      { mail: () => undefined, other: () => undefined },
      { name: 'other' },
    );
    await other.taskmaster.stop();
    const id = await jobs.insert('mail');
    await closed.reached(1);
    await other.taskmaster.start();
    await beats(database, jobs, 2 * (SHORT_LEASE.ttlMs / SHORT_LEASE.heartbeatMs));
    closed.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    expect(other.log.of('rescued').values).toEqual([]);
  });

  it('ends with the engine, which leaves no worker behind', async () => {
    const database = await testDatabase();
    const { taskmaster } = await workingEngine(database, { mail: () => undefined }, { lease });
    expect(await new JobTable(database).workers()).toHaveLength(1);
    await taskmaster.close();
    expect(await new JobTable(database).workers()).toEqual([]);
  });

  it('that is not answered makes the worker fence itself: it claims nothing and tells its handlers', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const aborted = new SignalPoint<{ code: string; afterMs: number }>();
    let unreachableAt = Infinity;
    const handle = async (job: Job<never>) => {
      await new Promise<void>((resolve) => job.signal.addEventListener('abort', () => resolve()));
      aborted.signal({
        code: (job.signal.reason as { code: string }).code,
        afterMs: performance.now() - unreachableAt,
      });
      throw job.signal.reason;
    };
    const { taskmaster, log } = await workingEngine(
      database,
      { mail: handle },
      { lease, connection, connectTimeoutMs: 2_000 },
    );
    const id = await jobs.insert('mail');
    await eventually(() => taskmaster.running === 1);
    unreachableAt = performance.now();
    proxy.blackhole();
    const [told] = await aborted.count(1);
    expect(told!.code).toBe('TM_LEASE_LOST');
    expect(told!.afterMs).toBeGreaterThan(SHORT_LEASE.ttlMs - SHORT_LEASE.heartbeatMs - 200);
    expect(told!.afterMs).toBeLessThan(SHORT_LEASE.ttlMs + 2_000);
    await jobs.insertMany('mail', 5);
    expect(await jobs.of(id)).toMatchObject({ state: 'running', run_count: 0 });

    proxy.refuse(); // its connections end, so that it learns at once that the network is back
    proxy.pass();
    await eventually(() => taskmaster.running > 0); // works again
    expect(log.of('workerLost').values.length).toBeGreaterThan(0);
    expect((await jobs.all()).every((job) => job.run_count === 0)).toBe(true);
  }, 40_000);
});

describe('a network that forgets connections', () => {
  it('stops neither heartbeats nor claims for long', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(
      database,
      { mail: () => undefined },
      { lease: THREAD, connection, connectTimeoutMs: 2_000 },
    );
    await beats(database, jobs, 2);
    proxy.forget();
    const id = await jobs.insert('mail');
    expect(await log.of('completed').count(1, { timeoutMs: 25_000 })).toMatchObject([{ jobId: id }]);
    await beats(database, jobs, 3);
  }, 40_000);
});

describe('a handler that blocks the main thread for longer than the lease', () => {
  it('keeps its lease when heartbeats come from a thread', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const child = workerChild(database, { queue: 'mail' }, { lease: THREAD });
    await child.line(/^ready/);
    await beats(database, jobs, 2);
    const { log } = await workingEngine(database, { other: () => undefined });
    const id = await jobs.insert('mail', { payload: JSON.stringify({ blockMs: 3 * SHORT_LEASE.ttlMs }) });
    await child.line(new RegExp(`^event completed ${id}`));
    expect(linesOf(child, 'started')).toEqual([`started ${id} 1`]);
    expect(log.of('rescued').values).toEqual([]);
  });

  it('loses its lease when heartbeats come from the main thread, and runs again', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const child = workerChild(database, { queue: 'mail' });
    await child.line(/^ready/);
    const { log } = await workingEngine(database, { other: () => undefined });
    const id = await jobs.insert('mail', { payload: JSON.stringify({ blockMs: 3 * SHORT_LEASE.ttlMs }) });
    await log.of('rescued').count(1);
    await child.line(new RegExp(`^started ${id} 2`));
    await child.line(new RegExp(`^event leaseLost ${id}`));
  });
});

/** Resolves after a worker has been seen to prolong its life that often. */
async function beats(
  database: Awaited<ReturnType<typeof testDatabase>>,
  jobs: JobTable,
  count: number,
): Promise<void> {
  const seen = new Set<string>();
  await eventually(
    async () => {
      const rows = await database.query<{ at: string }>(
        `select min(heartbeat_at)::text as at from ${jobs.schema}.workers`,
      );
      seen.add(rows[0]!.at);
      return seen.size > count;
    },
    { timeoutMs: 20_000 },
  );
}
