import { afterEach, describe, expect, it, vi } from 'vitest';
import { LeaseLostError } from '../../../lib/engine/errors.js';
import type { Job } from '../../../lib/engine/job/job.js';
import { gate } from '../../support/gate.js';
import { claimedJob } from './support/claimed-job.js';
import { testPool } from './support/test-pool.js';

const jobs = (from: number, to: number, leaseId = '1') =>
  Array.from({ length: to - from + 1 }, (_, index) => claimedJob(String(from + index), { leaseId }));

/** Lets promises that are settled take effect. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

afterEach(() => {
  vi.useRealTimers();
});

describe('WorkerPool', () => {
  it('runs as many at once as it has slots, in the order they were claimed', async () => {
    const closed = gate();
    const { pool, started, ended } = testPool({ concurrency: 2, handle: () => closed.pass() });
    pool.deliver(jobs(1, 5));
    expect([pool.running, pool.buffered, pool.idle]).toEqual([2, 3, false]);
    expect(started).toEqual(['1', '2']);
    closed.open();
    await settle();
    expect(started).toEqual(['1', '2', '3', '4', '5']);
    expect(ended.map(({ claimed }) => claimed.id)).toEqual(started);
    expect([pool.running, pool.buffered, pool.idle]).toEqual([0, 0, true]);
  });

  it('wants its free slots only, until it knows how long its handlers take', () => {
    const closed = gate();
    const { pool } = testPool({ concurrency: 4, handle: () => closed.pass() });
    expect(pool.wanted).toBe(4);
    pool.deliver(jobs(1, 3));
    expect(pool.wanted).toBe(1);
    pool.deliver(jobs(4, 6));
    expect(pool.wanted).toBe(0);
  });

  it('claims ahead of quick handlers by halves of its buffer, the next while one is left', async () => {
    vi.useFakeTimers({ toFake: ['performance'] }); // handlers take no time at all, however busy the machine is
    const closed = gate();
    let quick = 100;
    const handle = () => ((quick -= 1) >= 0 ? undefined : closed.pass());
    const { pool } = testPool({ concurrency: 2, handle });
    pool.deliver(jobs(1, 100));
    await settle();
    expect(pool.wanted).toBe(1_000);
    pool.deliver(jobs(101, 1_100));
    expect([pool.running, pool.buffered]).toEqual([2, 998]);
    expect(pool.wanted).toBe(1_000);
    pool.deliver(jobs(1_101, 2_100));
    expect(pool.wanted).toBe(0);
  });

  it('claims nothing ahead of slow handlers', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { pool } = testPool({ concurrency: 2, handle: () => void vi.advanceTimersByTime(1_000) });
    pool.deliver(jobs(1, 20));
    await settle();
    expect(pool.wanted).toBe(2);
  });

  it('claims nothing ahead of quick handlers that have become slow, long before they end', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const closed = gate();
    let quick = 100;
    const handle = () => {
      vi.advanceTimersByTime(0.01);
      return (quick -= 1) >= 0 ? undefined : closed.pass();
    };
    const { pool } = testPool({ concurrency: 2, handle });
    pool.deliver(jobs(1, 102));
    await settle();
    expect(pool.running).toBe(2);
    expect(pool.wanted).toBeGreaterThan(100);
    vi.advanceTimersByTime(100);
    expect(pool.wanted).toBe(0);
  });

  it('gives back what is buffered when it has waited for too long', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const closed = gate();
    const { pool } = testPool({ concurrency: 1, handle: () => closed.pass() });
    pool.deliver(jobs(1, 4));
    vi.advanceTimersByTime(1_999);
    expect(pool.takeBuffered(2_000)).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(pool.takeBuffered(2_000).map((job) => job.id)).toEqual(['2', '3', '4']);
    expect([pool.running, pool.buffered]).toEqual([1, 0]);
  });

  it('keeps what is buffered while slots become free', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const gates = [gate(), gate(), gate()];
    const handle = (job: Job) => gates[Number(job.id) - 1]!.pass();
    const { pool } = testPool({ concurrency: 1, handle });
    pool.deliver(jobs(1, 3));
    vi.advanceTimersByTime(1_500);
    gates[0]!.open();
    await settle();
    vi.advanceTimersByTime(1_500);
    expect(pool.takeBuffered(2_000)).toEqual([]); // the second started just now
  });

  it('gives back all that is buffered when it is asked for all', () => {
    const closed = gate();
    const { pool } = testPool({ concurrency: 1, handle: () => closed.pass() });
    pool.deliver(jobs(1, 3));
    expect(pool.takeBuffered().map((job) => job.id)).toEqual(['2', '3']);
    expect(pool.takeBuffered()).toEqual([]);
  });

  it('forgets what is buffered of leases that were taken away, and tells what runs', async () => {
    const closed = gate();
    const reasons: unknown[] = [];
    const handle = (job: Job) => {
      job.signal.addEventListener('abort', () => reasons.push(job.signal.reason));
      return closed.pass();
    };
    const { pool } = testPool({ concurrency: 2, handle });
    pool.deliver([...jobs(1, 1, 'kept'), ...jobs(2, 3, 'lost'), ...jobs(4, 4, 'kept')]);
    await settle();
    pool.loseLeases(new Set(['lost']), (claimed) => new LeaseLostError(claimed.queue, claimed.id));
    expect(reasons).toMatchObject([{ jobId: '2' }]);
    expect(pool.takeBuffered().map((job) => job.id)).toEqual(['4']);
  });

  it('frees its slots at once when everything is released', async () => {
    const closed = gate();
    const { pool, ended } = testPool({ concurrency: 2, handle: () => closed.pass() });
    pool.deliver(jobs(1, 2));
    await settle();
    pool.releaseAll();
    await settle();
    expect(pool.idle).toBe(true);
    expect(ended.map(({ settlement }) => settlement.kind)).toEqual(['release', 'release']);
    closed.open();
    await settle();
    expect(ended).toHaveLength(2);
  });
});
