import { describe, expect, it } from 'vitest';
import {
  type HandlerOptions,
  type Job,
  JobFailedError,
  rateLimited,
  snooze,
} from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { leaseToDead } from './support/dead-lease.js';
import { workingEngine } from './support/working-engine.js';

/** An engine whose handler of `mail` fails the first time that it is called for a job, and notes what it was called for. */
const setup = async (options: HandlerOptions = {}, fails = (job: Job) => job.payload === 'fails') => {
  const database = await testDatabase();
  const { publisher, admin } = await openEngine(database);
  const runs = new SignalPoint<unknown>();
  const start = (
    handle: (job: Job<never>) => unknown = (job) => {
      runs.signal(job.payload);
      if (fails(job)) throw new Error('no');
    },
  ) => workingEngine(database, { mail: { maxAttempts: 1, ...options, handle } });
  return { database, publisher, admin, runs, start, jobs: new JobTable(database) };
};

describe('a job with one attempt', () => {
  it('that fails gives its unique key back, and is told apart from the next', async () => {
    const { publisher, start, jobs } = await setup();
    await start();
    const unique = { key: 'a' };
    const first = await publisher.enqueue('mail', 'fails', { unique });
    expect(await jobs.in(first.id, 'failed')).toMatchObject({ run_count: 1 });
    const second = await publisher.enqueue('mail', 'ok', { unique });
    expect(second.deduplicated).toBe(false);
  });

  it('that fails makes room for the next one of its limits', async () => {
    const { publisher, runs, start } = await setup({ globalConcurrency: 1 });
    await publisher.enqueueMany('mail', ['fails', 'fails', 'ok']);
    await start();
    expect(await runs.count(3)).toEqual(['fails', 'fails', 'ok']);
  });

  it('that fails rejects who waits for its result', async () => {
    const { publisher, start } = await setup();
    await start();
    await expect(publisher.call('mail', 'fails')).rejects.toThrow(JobFailedError);
  });

  it('sleeps, snoozes, and waits for events and rates without spending it', async () => {
    const { publisher, start, jobs } = await setup();
    const counts = new SignalPoint<number>();
    let calls = 0;
    await start(async (job) => {
      counts.signal(job.runCount);
      calls += 1;
      if (calls === 1) return snooze(1);
      if (calls === 2) throw rateLimited({ retryAfterMs: 1 });
      await job.sleep(1);
      await job.waitForEvent('go');
      return undefined;
    });
    await publisher.emit('go', 1, { keepMs: 60_000 });
    await publisher.enqueue('mail');
    await jobs.empty();
    expect(new Set(counts.values)).toEqual(new Set([1]));
    expect(counts.values.length).toBeGreaterThanOrEqual(4);
  });

  it('of a schedule fails, and does not hold up those that must not overlap', async () => {
    const { admin, runs, start, jobs } = await setup();
    const at = { everyMs: 3_600_000, queue: 'mail', payload: 'fails' };
    for (const overlap of ['skip', 'queue'] as const)
      await admin.schedules.upsert({ ...at, name: overlap, overlap });
    await start();
    for (const name of ['skip', 'queue']) await admin.schedules.trigger(name);
    await runs.count(2);
    for (const { id } of await jobs.all()) await jobs.in(id, 'failed');
    for (const name of ['skip', 'queue']) await admin.schedules.trigger(name);
    await runs.count(4);
  });

  it('of a group that is blocked by failures runs when the failed one is retried', async () => {
    let broken = true;
    const { publisher, admin, runs, start, jobs } = await setup(
      { onFailure: 'block' },
      (job) => broken && job.payload === 'fails',
    );
    const [first, second] = await publisher.enqueueMany('mail', ['fails', 'ok'], { group: 'a' });
    await start();
    await jobs.in(first!.id, 'failed');
    expect(await admin.jobs.explain(second!.id)).toMatchObject({ reason: 'groupOrder' });
    broken = false;
    await admin.jobs.retry(first!.id);
    expect(await runs.count(3)).toEqual(['fails', 'fails', 'ok']);
  });
});

describe('a job of a version that nobody here knows, whose worker died while it left it', () => {
  it('is left by the next as well, and run by the first that knows it', async () => {
    const { database, publisher, start, jobs } = await setup({ maxAttempts: 2 });
    const options = { version: 2, upcasters: { 1: (payload: never) => payload } };
    const newer = await openEngine(database, { queues: [{ name: 'mail', options }] });
    const { id } = await newer.publisher.enqueue('mail', 'new');
    await leaseToDead(database, 'mail');
    const older = await start();
    await older.log.of('rescued').count(1);
    expect(await jobs.in(id, 'blocked')).toMatchObject({ run_count: 1, crash_count: 1 });
    await publisher.enqueue('mail', 'old');
    await older.log.of('completed').count(1);
    const runs = new SignalPoint<unknown>();
    await workingEngine(database, {
      mail: { ...options, maxAttempts: 2, handle: (job) => runs.signal([job.payload, job.runCount]) },
    });
    expect(await runs.count(1)).toEqual([['new', 2]]);
    await jobs.empty();
  });
});
