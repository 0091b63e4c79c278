import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf, quantileOf, TIME_BUCKETS_MS } from '../../lib/engine/job/time-buckets.js';

describe('bucketOf', () => {
  it.each([
    [-3, 0],
    [0, 0],
    [5, 0],
    [5.1, 1],
    [999, 7],
    [1_000, 7],
    [1_800_000, 14],
    [1_800_001, 15],
    [Infinity, 15],
    [Number.NaN, 0],
  ])('puts %d ms into bucket %d', (ms, bucket) => {
    expect(bucketOf(ms)).toBe(bucket);
  });
});

describe('quantileOf', () => {
  it('of nothing is nothing', () => {
    expect(quantileOf([], 0.5)).toBeUndefined();
    expect(quantileOf([0, 0], 0.5)).toBeUndefined();
  });

  it('spreads times evenly within their bucket', () => {
    expect(quantileOf([0, 0, 10], 0.5)).toBe(17.5);
    expect(quantileOf([10, 0, 10], 0.5)).toBe(5);
    expect(quantileOf([10, 0, 10], 1)).toBe(25);
  });

  it('counts what is beyond the last bound as the bound', () => {
    const beyond = [...TIME_BUCKETS_MS.map(() => 0), 3];
    expect(quantileOf(beyond, 0.99)).toBe(1_800_000);
  });

  it('lies in the bucket of the time itself, whatever the times', () => {
    const times = fc.array(fc.double({ min: 0, max: 2_000_000, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(times, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, share) => {
        const counts = Array.from({ length: TIME_BUCKETS_MS.length + 1 }, () => 0);
        for (const ms of all) counts[bucketOf(ms)]! += 1;
        const sorted = all.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(sorted.length * share) - 1]!;
        const estimate = quantileOf(counts, share)!;
        expect(estimate).toBeGreaterThanOrEqual(TIME_BUCKETS_MS[bucketOf(exact) - 1] ?? 0);
        expect(estimate).toBeLessThanOrEqual(TIME_BUCKETS_MS[bucketOf(exact)] ?? 1_800_000);
      }),
    );
  });
});
