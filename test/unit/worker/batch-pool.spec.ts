import { afterEach, describe, expect, it, vi } from 'vitest';
import { JobCancelledError, LeaseLostError, ShutdownError } from '../../../lib/engine/errors.js';
import type { ClaimedJob } from '../../../lib/engine/job/job.js';
import { JOB_FLAGS } from '../../../lib/engine/job/job-flags.js';
import type { JobBatch } from '../../../lib/engine/job/job-batch.js';
import { gate } from '../../support/gate.js';
import { claimedJob } from './support/claimed-job.js';
import { testBatchPool } from './support/test-batch-pool.js';

const jobs = (from: number, to: number, leaseId = '1') =>
  Array.from({ length: to - from + 1 }, (_, index) => claimedJob(String(from + index), { leaseId }));

/** Lets promises that are settled take effect. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A clock, and timers, that stand still. */
const stopClock = () => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });

const shutdown = ({ queue, id }: ClaimedJob) => new ShutdownError(queue, id);
const cancelled = ({ queue, id }: ClaimedJob) => new JobCancelledError(queue, id);
const leaseLost = ({ queue, id }: ClaimedJob) => new LeaseLostError(queue, id);

afterEach(() => {
  vi.useRealTimers();
});

describe('BatchPool', () => {
  it('runs batches of `size`, as many at once as it has slots, in the order they were claimed', async () => {
    const closed = gate();
    const { pool, batches, started, ended } = testBatchPool({ handleBatch: () => closed.pass() });
    pool.deliver(jobs(1, 8));
    await settle();
    expect(batches).toEqual([
      ['1', '2', '3'],
      ['4', '5', '6'],
    ]);
    expect([pool.running, pool.buffered, pool.idle]).toEqual([6, 2, false]);
    expect(started).toEqual(['1', '2', '3', '4', '5', '6']);
    closed.open();
    await settle();
    expect(batches[2]).toEqual(['7', '8']);
    expect(ended.map(({ claimed }) => claimed.id)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect([pool.running, pool.buffered, pool.idle]).toEqual([0, 0, true]);
  });

  it('puts what one claim brings together, whatever leases it comes in', async () => {
    const { pool, batches } = testBatchPool();
    pool.deliver(jobs(1, 1, 'a'));
    pool.deliver(jobs(2, 3, 'b'));
    await settle();
    expect(batches).toEqual([['1', '2', '3']]);
  });

  it('wants what its free slots can hold', async () => {
    const closed = gate();
    const { pool } = testBatchPool({ concurrency: 3, waitMs: 60_000, handleBatch: () => closed.pass() });
    expect([pool.wanted, pool.free]).toEqual([9, 9]);
    pool.deliver(jobs(1, 4));
    await settle();
    expect([pool.wanted, pool.free]).toEqual([5, 5]);
    pool.deliver(jobs(5, 9));
    await settle();
    expect([pool.wanted, pool.free]).toEqual([0, 0]);
    pool.takeBuffered();
  });

  it('never asks for more than 1,000 jobs at once', () => {
    const { pool } = testBatchPool({ size: 10_000 });
    expect([pool.wanted, pool.free]).toEqual([1_000, 20_000]);
  });

  it('waits for a batch to fill until `waitMs` after its first job', async () => {
    stopClock();
    const { pool, batches } = testBatchPool({ waitMs: 100 });
    pool.deliver(jobs(1, 1));
    await settle();
    vi.advanceTimersByTime(60);
    pool.deliver(jobs(2, 2));
    await settle();
    vi.advanceTimersByTime(39);
    await settle();
    expect(batches).toEqual([]);
    vi.advanceTimersByTime(1);
    await settle();
    expect(batches).toEqual([['1', '2']]);
  });

  it('waits for the next batch from its own first job, and no longer when a slot was busy meanwhile', async () => {
    stopClock();
    const gates = [gate(), gate()];
    let ran = 0;
    const handleBatch = () => gates[ran++]?.pass();
    const { pool, batches } = testBatchPool({ concurrency: 1, waitMs: 100, handleBatch });
    pool.deliver(jobs(1, 3));
    await settle();
    pool.deliver(jobs(4, 4)); // beyond what it wanted, as two claims under way may bring
    vi.advanceTimersByTime(90);
    gates[0]!.open();
    await settle();
    expect(batches).toHaveLength(1);
    vi.advanceTimersByTime(10);
    await settle();
    expect(batches[1]).toEqual(['4']);
    pool.deliver(jobs(5, 5));
    vi.advanceTimersByTime(500);
    gates[1]!.open();
    await settle();
    expect(batches[2]).toEqual(['5']); // it has waited for long enough already
  });

  it('runs what waits when it is told that nobody else will come', async () => {
    const { pool, batches } = testBatchPool({ waitMs: 60_000 });
    pool.deliver(jobs(1, 2));
    await settle();
    pool.hurry();
    await settle();
    expect(batches).toEqual([['1', '2']]);
  });

  it('lets a job on its last chance wait for nobody', async () => {
    const { pool, batches } = testBatchPool({ waitMs: 60_000 });
    pool.deliver([claimedJob('1', { alone: true })]);
    await settle();
    expect(batches).toEqual([['1']]);
  });

  it('gives back what waits for its batch when it is asked for all, never because it waits for long', async () => {
    stopClock();
    const { pool, batches } = testBatchPool({ waitMs: 10_000 });
    pool.deliver(jobs(1, 2));
    await settle();
    vi.advanceTimersByTime(5_000);
    expect(pool.takeBuffered(2_000)).toEqual([]);
    expect(pool.takeBuffered().map(({ id }) => id)).toEqual(['1', '2']);
    vi.advanceTimersByTime(10_000);
    await settle();
    expect([pool.idle, batches]).toEqual([true, []]);
  });

  it('leaves out what has no attempts left or was cancelled before', async () => {
    const { pool, batches, ended } = testBatchPool({ size: 4 });
    pool.deliver([
      claimedJob('1', { maxAttempts: 2, runCount: 2 }),
      claimedJob('2'),
      claimedJob('3', { flags: JOB_FLAGS.cancelled }),
      claimedJob('4'),
    ]);
    await settle();
    expect(batches).toEqual([['2', '4']]);
    expect(ended.map(({ claimed, settlement }) => [claimed.id, settlement.kind])).toEqual([
      ['1', 'fail'],
      ['3', 'cancel'],
      ['2', 'complete'],
      ['4', 'complete'],
    ]);
  });

  it('waits until all payloads are validated, and keeps the order of the jobs', async () => {
    const gates = [gate(), gate(), gate()];
    const validate = (payload: unknown) => gates[Number(payload)]!.pass();
    const { pool, batches } = testBatchPool({ validate });
    pool.deliver([0, 1, 2].map((n) => claimedJob(`job ${n}`, { payload: n })));
    for (const next of [2, 0, 1]) {
      await settle();
      expect(batches).toEqual([]);
      gates[next]!.open();
    }
    await settle();
    expect(batches).toEqual([['job 0', 'job 1', 'job 2']]);
  });

  it('leaves out what ends while the others are validated', async () => {
    const closed = gate();
    const validate = (payload: unknown) => (payload === 'slow' ? closed.pass() : undefined);
    const { pool, batches, ended } = testBatchPool({ size: 2, validate });
    pool.deliver([claimedJob('1', { payload: 'slow' }), claimedJob('2', { meta: { timeoutMs: 1 } })]);
    await vi.waitFor(() => expect(ended).toHaveLength(1));
    closed.open();
    await settle();
    expect(batches).toEqual([['1']]);
  });

  it('forgets what waits of leases that were taken away', async () => {
    const { pool, batches, ended } = testBatchPool({ waitMs: 60_000 });
    pool.deliver([...jobs(1, 1, 'lost'), ...jobs(2, 2, 'kept')]);
    await settle();
    pool.loseLeases(new Set(['lost']), leaseLost);
    expect(pool.takeBuffered().map(({ id }) => id)).toEqual(['2']);
    expect([batches, ended]).toEqual([[], []]);
  });

  it('does not call the handler for a batch of which nothing is left', async () => {
    const { pool, batches, ended } = testBatchPool({ size: 2 });
    pool.deliver([claimedJob('1', { runCount: 10 }), claimedJob('2', { runCount: 10 })]);
    await settle();
    expect([batches, ended.length, pool.idle]).toEqual([[], 2, true]);
  });

  it('lets jobs whose answer is a promise end when that does', async () => {
    const gates = [gate(), gate()];
    const { pool, ended } = testBatchPool({ size: 2, handleBatch: () => gates.map((each) => each.pass()) });
    pool.deliver(jobs(1, 2));
    await settle();
    gates[1]!.open();
    await settle();
    expect(ended.map(({ claimed }) => claimed.id)).toEqual(['2']);
    expect([pool.running, pool.idle]).toEqual([1, false]);
    gates[0]!.open();
    await settle();
    expect(pool.idle).toBe(true);
  });

  it('frees its slot when all of its jobs are released, though the handler goes on', async () => {
    const closed = gate();
    const { pool, ended } = testBatchPool({ concurrency: 1, handleBatch: () => closed.pass() });
    pool.deliver(jobs(1, 3));
    await settle();
    pool.releaseAll();
    await settle();
    expect([pool.idle, pool.wanted]).toEqual([true, 3]);
    expect(ended.map(({ settlement }) => settlement.kind)).toEqual(['release', 'release', 'release']);
    closed.open();
    await settle();
    expect(ended).toHaveLength(3);
  });
});

describe('the signal of a batch', () => {
  const running = async () => {
    const closed = gate();
    let batch!: JobBatch;
    const handleBatch = (all: JobBatch) => {
      batch = all;
      return closed.pass();
    };
    const { pool } = testBatchPool({ handleBatch });
    pool.deliver([...jobs(1, 2, 'a'), ...jobs(3, 3, 'b')]);
    await settle();
    const aborted = () => batch.map((job) => job.signal.aborted);
    return { pool, batch, aborted };
  };

  it('is aborted at a shutdown, with those of all jobs', async () => {
    const { pool, batch, aborted } = await running();
    const { signal } = batch;
    pool.abortAll(shutdown);
    expect(aborted()).toEqual([true, true, true]);
    expect(signal.reason).toEqual(new ShutdownError('mail', '3'));
  });

  it('is not aborted when one of many jobs is cancelled, or has lost its lease', async () => {
    const { pool, batch, aborted } = await running();
    const { signal } = batch;
    expect(pool.cancel('1', cancelled)).toBeUndefined();
    expect(aborted()).toEqual([true, false, false]);
    pool.loseLeases(new Set(['b']), leaseLost);
    expect(aborted()).toEqual([true, false, true]);
    expect(signal.aborted).toBe(false);
    pool.cancel('2', cancelled);
    expect(signal.reason).toEqual(new JobCancelledError('mail', '2'));
  });

  it('is the same when it is asked for late', async () => {
    const { pool, batch } = await running();
    pool.cancel('1', cancelled);
    expect(batch.signal.aborted).toBe(false);
    pool.abortAll(shutdown);
    expect(batch.signal.aborted).toBe(true);
  });

  it.each(['early', 'late'])('does not wait for jobs that have ended, asked for %s', async (when) => {
    const first = gate();
    let batch!: JobBatch;
    const { pool, ended } = testBatchPool({
      handleBatch: (all) => {
        batch = all;
        if (when === 'early') void batch.signal;
        return [first.pass(), gate().pass(), gate().pass()];
      },
    });
    pool.deliver(jobs(1, 3));
    await settle();
    first.open();
    await settle();
    expect(ended).toHaveLength(1);
    pool.cancel('2', cancelled);
    expect(batch.signal.aborted).toBe(false);
    pool.cancel('3', cancelled);
    expect(batch.signal.aborted).toBe(true);
    pool.releaseAll();
  });
});
