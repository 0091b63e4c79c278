import { describe, expect, it } from 'vitest';
import type { HandlerOptions, Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

/** What the first process takes that runs the sources after a change of them, on a machine that many share. */
const COLD_START_MS = 40_000;
/** The lease, a rescue that has just missed its end, and what a busy machine adds. */
const RESCUED_MS = SHORT_LEASE.ttlMs + 1.5 * SHORT_LEASE.heartbeatMs + 5_000;

const HOLD = { hold: true } as const;

const setup = async () => {
  const database = await testDatabase();
  const { publisher, admin } = await openEngine(database);
  return { database, publisher, admin, jobs: new JobTable(database) };
};

/** A process that has started so many jobs of the queue `mail`, and holds them until it is killed. */
const holder = async (database: TestDatabase, started: number, options: HandlerOptions = {}) => {
  const child = workerChild(database, { queue: 'mail', options });
  await child.line(/^ready/, { timeoutMs: COLD_START_MS });
  await eventually(() => linesOf(child, 'started').length === started);
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await child.exit();
    },
  };
};

describe('a process that is killed', { timeout: 2 * COLD_START_MS }, () => {
  it('leaves a unique job that keeps its key until it has run elsewhere, and the one that was to come next', async () => {
    const { database, publisher, jobs } = await setup();
    const active = { unique: { key: 'active' } };
    const latest = { unique: { key: 'latest', onConflict: 'latest' as const } };
    const first = await publisher.enqueue('mail', HOLD, active);
    const running = await publisher.enqueue('mail', HOLD, latest);
    const { kill } = await holder(database, 2, { concurrency: 2 });
    const next = await publisher.enqueue('mail', { n: 1 }, latest);
    await kill();
    expect(await publisher.enqueue('mail', {}, active)).toEqual({ ...first, deduplicated: true });
    expect(await publisher.enqueue('mail', { n: 2 }, latest)).toEqual({ ...next, deduplicated: true });
    const closed = gate();
    const runs = new SignalPoint<Job>();
    await workingEngine(database, {
      mail: async (job) => {
        runs.signal(job);
        await closed.pass();
      },
    });
    await runs.count(3, { timeoutMs: RESCUED_MS });
    expect(await publisher.enqueue('mail', {}, active)).toEqual({ ...first, deduplicated: true });
    closed.open();
    await jobs.empty();
    expect(runs.values.map((job) => [job.id, job.runCount, job.payload]).toSorted()).toEqual(
      [
        [first.id, 2, HOLD],
        [running.id, 2, HOLD],
        [next.id, 1, { n: 2 }],
      ].toSorted(),
    );
    expect(await publisher.enqueue('mail', {}, active)).toMatchObject({ deduplicated: false });
  });

  it('frees what it held of a limit when its jobs are given to others, and not before', async () => {
    const { database, publisher } = await setup();
    await publisher.enqueueMany('mail', [HOLD, HOLD, HOLD, HOLD, HOLD]);
    const limits = { globalConcurrency: 2 };
    const { kill } = await holder(database, 2, limits);
    const closed = gate();
    let [running, most] = [0, 0];
    const { log } = await workingEngine(database, {
      mail: {
        ...limits,
        handle: async () => {
          most = Math.max(most, (running += 1));
          await closed.pass();
          running -= 1;
        },
      },
    });
    await kill();
    await closed.reached(2, { timeoutMs: RESCUED_MS });
    expect(log.of('rescued').values).toHaveLength(2);
    expect(log.of('rescued').values[0]!.at.getTime()).toBeLessThanOrEqual(
      log.of('started').values[0]!.at.getTime(),
    );
    closed.open();
    await log.of('completed').count(5);
    expect(most).toBe(2);
  });

  it('blocks the group whose member had one attempt, where the queue says so, until that is requeued', async () => {
    const { database, publisher, jobs } = await setup();
    const [first, second] = await publisher.enqueueMany('mail', [HOLD, { n: 2 }], { group: 'a' });
    const options = { onFailure: 'block' as const, maxAttempts: 1 };
    const { kill } = await holder(database, 1, options);
    await kill();
    const order = new SignalPoint<string>();
    const { taskmaster } = await workingEngine(database, {
      mail: { ...options, handle: (job) => order.signal(job.id) },
    });
    const failed = await jobs.in(first!.id, 'failed', { timeoutMs: RESCUED_MS });
    expect(failed).toMatchObject({ run_count: 1, last_error: { code: 'TM_WORKER_LOST' } });
    await publisher.enqueue('mail', {}, { group: 'b' });
    await order.count(1); // another group goes on
    expect(await jobs.of(second!.id)).toMatchObject({ state: 'ready', run_count: 0 });
    await taskmaster.admin.jobs.requeue(first!.id);
    expect((await order.count(3)).slice(1)).toEqual([first!.id, second!.id]);
  });

  it('fails the parent that had one attempt: children and batches go as they were told to', async () => {
    const { database, publisher, jobs } = await setup();
    const { id: batch, jobs: members } = await publisher.batch((b) => b.add('mail', HOLD), {
      onFailed: { queue: 'failed' },
      onSucceeded: { queue: 'succeeded' },
    });
    const parent = members[0]!;
    const cancelled = await publisher.enqueue('child', 'cancel', { dependsOn: [parent] });
    const failing = await publisher.enqueue('child', 'fail', {
      dependsOn: [{ job: parent, onFailure: 'fail' }],
    });
    const ignoring = await publisher.enqueue('child', 'ignore', {
      dependsOn: [{ job: parent, onFailure: 'ignore' }],
    });
    const { kill } = await holder(database, 1, { maxAttempts: 1 });
    await kill();
    const ran = new SignalPoint<unknown>();
    const note = async (job: Job<never>) =>
      ran.signal([job.queue, job.id, job.batch?.failed, (await job.parents()).map(({ outcome }) => outcome)]);
    const { taskmaster } = await workingEngine(database, {
      mail: { maxAttempts: 1, handle: () => undefined },
      child: note,
      failed: note,
      succeeded: note,
    });
    expect((await ran.count(2, { timeoutMs: RESCUED_MS })).toSorted()).toEqual(
      [
        ['child', ignoring.id, undefined, ['failed']],
        ['failed', expect.any(String), 1, []],
      ].toSorted(),
    );
    expect(await jobs.in(failing.id, 'failed')).toMatchObject({ last_error: { code: 'TM_PARENT_FAILED' } });
    await eventually(async () => (await jobs.of(cancelled.id)) === undefined);
    expect(await taskmaster.admin.batches.get(batch)).toMatchObject({ total: 1, failed: 1, completed: 0 });
    expect(ran.values).toHaveLength(2);
  });

  it('lets who waits for a result have it from the next process', async () => {
    const { database, publisher } = await setup();
    const result = publisher.call('mail', HOLD);
    const { kill } = await holder(database, 1);
    await kill();
    await workingEngine(database, { mail: (job) => `attempt ${job.runCount}` });
    expect(await result).toBe('attempt 2');
  });

  it('leaves a paused queue paused, and the rest of it for later', async () => {
    const { database, publisher, admin, jobs } = await setup();
    const [running, waits] = await publisher.enqueueMany('mail', [HOLD, { n: 2 }]);
    const { kill } = await holder(database, 1, { concurrency: 1 });
    await admin.queues.pause('mail', { reason: 'deploy' });
    const runs = new SignalPoint<string>();
    const { log } = await workingEngine(database, { mail: (job) => runs.signal(job.id) });
    await kill();
    await log.of('rescued').count(1, { timeoutMs: RESCUED_MS });
    expect((await jobs.all()).map((job) => job.state)).toEqual(['ready', 'ready']);
    expect(runs.values).toEqual([]);
    await admin.queues.resume('mail');
    expect((await runs.count(2)).toSorted()).toEqual([running!.id, waits!.id].toSorted());
  });

  it('has its schedules fired by the next process, and holds up none that does not overlap with its job', async () => {
    const { database, admin, jobs } = await setup();
    const { kill } = await holder(database, 0);
    await admin.schedules.upsert({
      name: 'nightly',
      everyMs: 3_600_000,
      queue: 'mail',
      payload: HOLD,
      overlap: 'queue',
    });
    await admin.schedules.trigger('nightly');
    await eventually(async () => (await jobs.all())[0]?.state === 'running');
    await admin.schedules.trigger('nightly');
    await kill();
    const runs = new SignalPoint<number>();
    await workingEngine(database, { mail: (job) => runs.signal(job.runCount) });
    expect(await runs.count(2, { timeoutMs: RESCUED_MS })).toEqual([2, 1]);
    await jobs.empty();
  });
});
