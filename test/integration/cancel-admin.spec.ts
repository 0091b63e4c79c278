import { describe, expect, it } from 'vitest';
import type { Job, TaskmasterOptions } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { NO_BELLS, SHORT_LEASE, workingEngine } from './support/working-engine.js';

const LATER = '2100-01-01T00:00:00Z';
const FAILED = { run_at: 'infinity', failed_at: '2026-01-01T00:00:00Z', run_count: 3 };
/** Only a notification can be in time. */
const RARE = { lease: { ttlMs: 300_000, heartbeatMs: 60_000, heartbeat: 'main' } } as const;

const setup = async () => {
  const database = await testDatabase();
  const { admin } = await openEngine(database);
  return { database, admin, jobs: new JobTable(database) };
};

/** Two engines whose handlers run until they are aborted. */
const working = async (options: Partial<TaskmasterOptions> = {}) => {
  const all = await setup();
  const hold = gate();
  const aborted = new SignalPoint<{ readonly id: string; readonly at: number; readonly code: string }>();
  const handle = async (job: Job<never>) =>
    hold.pass(job.signal).catch((error: { code: string }) => {
      aborted.signal({ id: job.id, at: performance.now(), code: error.code });
      throw error;
    });
  const mail = { concurrency: 2, maxAttempts: 1, retention: { cancelledMs: 60_000 }, handle };
  const engines = [
    await workingEngine(all.database, { mail }, options),
    await workingEngine(all.database, { mail }, options),
  ];
  return { ...all, hold, aborted, engines };
};

describe('jobs.cancel', () => {
  it('cancels one job, whatever it waits for', async () => {
    const { admin, jobs } = await setup();
    for (const columns of [{}, { run_at: LATER }, { group_key: 'a' }, { run_at: 'infinity' }]) {
      const id = await jobs.insert('mail', columns);
      expect(await admin.jobs.cancel(id)).toEqual({ count: 1, ids: [id], more: false, aborting: 0 });
      expect(await admin.jobs.cancel(id)).toEqual({ count: 0, ids: [], more: false, aborting: 0 });
    }
    expect(await jobs.all()).toEqual([]);
  });

  it('leaves one that has failed', async () => {
    const { admin, jobs } = await setup();
    const id = await jobs.insert('mail', FAILED);
    expect(await admin.jobs.cancel(id)).toMatchObject({ count: 0 });
    expect(await jobs.of(id)).toMatchObject({ state: 'failed' });
  });

  it('aborts those that run within 100 ms, in whatever process', async () => {
    const { admin, jobs, hold, aborted, engines } = await working(RARE);
    const ids = await jobs.insertMany('mail', 4);
    await hold.reached(4);
    expect(engines.map(({ taskmaster }) => taskmaster.running)).toEqual([2, 2]);
    const answered = await admin.jobs.cancel({ queue: 'mail', state: 'running' });
    const at = performance.now();
    expect(answered).toEqual({ count: 4, ids, more: false, aborting: 4 });
    const told = await aborted.count(4);
    expect(told.map((each) => each.code)).toEqual(Array.from({ length: 4 }, () => 'TM_CANCELLED'));
    expect(Math.max(...told.map((each) => each.at)) - at).toBeLessThan(100);
    await jobs.empty();
    const { jobs: kept } = await admin.jobs.list({ state: 'cancelled' });
    expect(kept.map((job) => job.id).toSorted()).toEqual(ids.toSorted());
  });

  it('aborts in another process', async () => {
    const { database, admin, jobs } = await setup();
    const child = workerChild(database, { queue: 'mail' }, RARE);
    await child.line(/^ready$/);
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    await child.line(/^started/);
    await admin.jobs.cancel(id);
    await child.line(new RegExp(`^aborted ${id} TM_CANCELLED$`));
    expect(linesOf(child, 'aborted')).toHaveLength(1);
  });

  it('aborts those that run without bells too', async () => {
    const { admin, jobs, hold, aborted } = await working({ ...NO_BELLS, lease: SHORT_LEASE });
    await jobs.insertMany('mail', 2);
    await hold.reached(2);
    expect(await admin.jobs.cancel({ queue: 'mail' })).toMatchObject({ aborting: 2 });
    await aborted.count(2);
    await jobs.empty();
  });

  it('takes those that match the filter, in parts, and no other', async () => {
    const { admin, jobs } = await setup();
    const tagged = await jobs.insert('mail', { meta: '{"tags": ["a", "b"]}' });
    const scheduled = await jobs.insert('mail', { run_at: LATER });
    const failed = await jobs.insert('mail', FAILED);
    const many = await jobs.insertMany('bulk', 1_100);
    expect(await admin.jobs.cancel({ tags: ['a'] })).toMatchObject({ ids: [tagged] });
    expect(await admin.jobs.cancel({ queue: 'mail', state: ['ready', 'blocked'] })).toMatchObject({
      count: 0,
    });
    const dry = await admin.jobs.cancel({ queue: ['mail', 'bulk'] }, { dryRun: true, limit: 1_000 });
    expect(dry).toMatchObject({ count: 1_000, more: true, aborting: 0 });
    expect(dry.ids.slice(0, 2)).toEqual([scheduled, many[0]]);
    expect(await jobs.all()).toHaveLength(1_102);
    expect(await admin.jobs.cancel({ queue: 'bulk' }, { limit: 1_000 })).toMatchObject({
      count: 1_000,
      more: true,
    });
    expect(await admin.jobs.cancel({ queue: 'bulk' })).toMatchObject({ count: 100, more: false });
    expect((await jobs.all()).map((job) => job.id)).toEqual([scheduled, failed]);
  });

  it('runs nothing that it has cancelled, and cancels nothing twice, beside workers and others who cancel', async () => {
    const { database, admin, jobs } = await setup();
    const ran: string[] = [];
    const engines = await Promise.all(
      [1, 2].map(() => workingEngine(database, { mail: (job) => void ran.push(job.id) })),
    );
    const ids = await jobs.insertMany('mail', 2_000);
    const grouped: string[] = [];
    for (let n = 0; n < 20; n += 1) grouped.push(await jobs.insert('mail', { group_key: `g${n % 3}` }));
    const answers = await Promise.all([
      admin.jobs.cancel({ queue: 'mail' }),
      admin.jobs.cancel({ ids: ids.toReversed() }),
      admin.jobs.cancel({ ids: grouped }),
    ]);
    await jobs.empty();
    const gone = answers.reduce((sum, each) => sum + each.count - each.aborting, 0);
    expect(ran.length).toBe(new Set(ran).size);
    expect(gone + ran.length).toBeGreaterThanOrEqual(
      2_020 - answers.reduce((sum, each) => sum + each.aborting, 0),
    );
    expect(gone + ran.length).toBeLessThanOrEqual(2_020);
    await eventually(() => engines.every(({ taskmaster }) => taskmaster.running === 0));
  });

  it('refuses a filter that it does not know', async () => {
    const { admin } = await setup();
    await expect(admin.jobs.cancel({ state: 'failed' as never })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
    await expect(admin.jobs.cancel('x')).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
    await expect(admin.jobs.cancel({}, { dryrun: true } as never)).rejects.toThrow('did you mean "dryRun"');
  });
});
