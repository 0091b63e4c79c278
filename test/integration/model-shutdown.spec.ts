import { describe, expect, it } from 'vitest';
import { defineQueue, type HandlerOptions, type Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** Nobody dies here: what waited for a lease to run out would fail. */
const LONG_LEASE = { ttlMs: 600_000, heartbeatMs: 60_000, heartbeat: 'main' } as const;
const AT_ONCE = { lease: LONG_LEASE, shutdown: { drainTimeoutMs: 0 } };

const setup = async () => {
  const database = await testDatabase();
  const { publisher } = await openEngine(database);
  return { database, publisher, jobs: new JobTable(database) };
};

/** An engine that holds so many jobs of the queue `mail` until it is told to stop, which it is by `stop`. */
const holder = async (database: TestDatabase, started: number, options: HandlerOptions = {}) => {
  const closed = gate();
  const handle = (job: Job<never>) => closed.pass(job.signal);
  const { taskmaster } = await workingEngine(database, { mail: { ...options, handle } }, AT_ONCE);
  await closed.reached(started);
  return { stop: () => taskmaster.stop() };
};

/** The next one. */
const working = (
  database: TestDatabase,
  handle: (job: Job<never>) => unknown,
  options: HandlerOptions = {},
) => workingEngine(database, { mail: { ...options, handle } }, { lease: LONG_LEASE });

describe('a worker that stops', () => {
  it('hands a unique job back with its key, without having spent its one attempt', async () => {
    const { database, publisher, jobs } = await setup();
    const unique = { key: 'a' };
    const first = await publisher.enqueue('mail', 1, { unique });
    const { stop } = await holder(database, 1, { maxAttempts: 1 });
    await stop();
    expect(await publisher.enqueue('mail', 2, { unique })).toEqual({ ...first, deduplicated: true });
    const runs = new SignalPoint<unknown>();
    await working(database, (job) => runs.signal([job.id, job.runCount, job.payload]), { maxAttempts: 1 });
    expect(await runs.count(1)).toEqual([[first.id, 1, 1]]);
    await jobs.empty();
    expect(await publisher.enqueue('mail', 3, { unique })).toMatchObject({ deduplicated: false });
  });

  it('frees what it held of the limits of its queue and of a key at once', async () => {
    const { database, publisher } = await setup();
    const limits = {
      globalConcurrency: 2,
      keyConcurrency: { key: (payload: { key: string }) => payload.key, limit: 1 },
    };
    const queue = defineQueue<{ key: string }>('mail', limits);
    const [a, b] = [{ key: 'a' }, { key: 'b' }];
    await publisher.enqueueMany(queue, [a, a, b, b]);
    const { stop } = await holder(database, 2, limits);
    await stop();
    const runs = new SignalPoint<string>();
    await working(
      database,
      (job) => runs.signal(`${(job.payload as { key: string }).key} ${job.runCount}`),
      limits,
    );
    expect((await runs.count(4)).toSorted()).toEqual(['a 1', 'a 1', 'b 1', 'b 1']);
  });

  it('lets a parent with one attempt run elsewhere: its children and its batch know nothing of it', async () => {
    const { database, publisher } = await setup();
    const { jobs: members } = await publisher.batch((batch) => batch.add('mail', 1), {
      onSucceeded: { queue: 'last', payload: 'batch' },
      onFailed: { queue: 'last', payload: 'failed' },
    });
    await publisher.enqueue('last', 'child', { dependsOn: members });
    const { stop } = await holder(database, 1, { maxAttempts: 1 });
    await stop();
    const ran = new SignalPoint<unknown>();
    await workingEngine(
      database,
      { mail: { maxAttempts: 1, handle: () => undefined }, last: (job) => ran.signal(job.payload) },
      { lease: LONG_LEASE },
    );
    expect((await ran.count(2)).toSorted()).toEqual(['batch', 'child']);
  });

  it('lets who waits for a result have it from the next one', async () => {
    const { database, publisher } = await setup();
    const result = publisher.call('mail', 1);
    const { stop } = await holder(database, 1);
    await stop();
    await working(database, (job) => `attempt ${job.runCount}`);
    expect(await result).toBe('attempt 1');
  });

  it('leaves what it has left to newer releases to them', async () => {
    const { database, publisher, jobs } = await setup();
    const options = { version: 2, upcasters: { 1: (payload: never) => payload } };
    const newer = await openEngine(database, { queues: [{ name: 'mail', options }] });
    const { id } = await newer.publisher.enqueue('mail', 'new', { maxAttempts: 1 });
    await publisher.enqueue('mail', 'old', { maxAttempts: 1 });
    const { stop } = await holder(database, 1);
    await jobs.in(id, 'blocked');
    await stop();
    const runs = new SignalPoint<unknown>();
    await working(database, (job) => runs.signal([job.payload, job.runCount]), options);
    expect((await runs.count(2)).toSorted()).toEqual([
      ['new', 1],
      ['old', 1],
    ]);
    await jobs.empty();
  });

  it('hands back what it has not started of a queue with versions, and what it was about to leave', async () => {
    const { database, publisher, jobs } = await setup();
    const options = { version: 2, upcasters: { 1: (payload: never) => payload } };
    const newer = await openEngine(database, { queues: [{ name: 'mail', options }] });
    const { stop } = await holder(database, 0);
    const ids = (
      await newer.publisher.enqueueMany(
        'mail',
        Array.from({ length: 50 }, (_, n) => n),
      )
    ).map(({ id }) => id);
    await stop();
    const runs = new SignalPoint<string>();
    await working(database, (job) => runs.signal(`${job.id} ${job.runCount}`), {
      ...options,
      maxAttempts: 1,
    });
    await jobs.empty();
    expect(runs.values.toSorted()).toEqual(ids.map((id) => `${id} 1`).toSorted());
    await publisher.enqueue('mail', 'old');
    await runs.count(51);
  });

  it('ends a job that is cancelled while it drains', async () => {
    const { database, publisher, jobs } = await setup();
    const { id } = await publisher.enqueue('mail', 1);
    const closed = gate();
    const { taskmaster, log } = await workingEngine(
      database,
      { mail: (job) => closed.pass(job.signal) },
      { shutdown: { drainTimeoutMs: 20_000 } },
    );
    await closed.reached(1);
    const stopped = taskmaster.stop();
    await eventually(() => taskmaster.state === 'draining');
    await taskmaster.admin.jobs.cancel(id);
    await stopped;
    expect(log.of('cancelled').values).toMatchObject([{ jobId: id }]);
    expect(await jobs.all()).toEqual([]);
  });
});
