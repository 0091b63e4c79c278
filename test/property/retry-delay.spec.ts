import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backoff, BackoffPolicy } from '../../lib/engine/retry/backoff.js';
import { MAX_DELAY_MS, delayOf } from '../../lib/engine/retry/retry-delay.js';

const attempt = fc.integer({ min: 1, max: 1_000_000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const delayMs = fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: MAX_DELAY_MS }));
const policy: fc.Arbitrary<BackoffPolicy> = fc.record(
  {
    type: fc.constantFrom('fixed', 'linear', 'exponential'),
    delayMs,
    maxDelayMs: delayMs,
    jitter: fc.boolean(),
  },
  { requiredKeys: ['type'] },
);

describe('delayOf', () => {
  it('answers whole milliseconds from 0 to maxDelayMs, for any policy and attempt', () => {
    fc.assert(
      fc.property(policy, attempt, random, (backoff, number, draw) => {
        const delay = delayOf(backoff, number, undefined, () => draw);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(backoff.maxDelayMs ?? 3_600_000);
      }),
      { numRuns: 1_000 },
    );
  });

  it('never shrinks from one attempt to the next, without jitter', () => {
    fc.assert(
      fc.property(policy, attempt, attempt, (backoff, one, other) => {
        const [earlier, later] = [Math.min(one, other), Math.max(one, other)];
        const delay = (number: number) =>
          delayOf({ ...backoff, jitter: false }, number, undefined, Math.random);
        expect(delay(earlier)).toBeLessThanOrEqual(delay(later));
      }),
      { numRuns: 500 },
    );
  });

  it('draws between half and all of the delay without jitter', () => {
    fc.assert(
      fc.property(policy, attempt, random, (backoff, number, draw) => {
        const full = delayOf({ ...backoff, jitter: false }, number, undefined, () => draw);
        const drawn = delayOf({ ...backoff, jitter: true }, number, undefined, () => draw);
        expect(drawn).toBeGreaterThanOrEqual(full / 2);
        expect(drawn).toBeLessThanOrEqual(full);
      }),
      { numRuns: 500 },
    );
  });

  it('answers a delay whatever the backoff is, or answers', () => {
    const backoff = fc.oneof(fc.anything(), fc.func(fc.anything()), fc.array(fc.anything()));
    fc.assert(
      fc.property(backoff, attempt, random, (broken, number, draw) => {
        const delay = delayOf(broken as Backoff, number, undefined, () => draw);
        expect(Number.isInteger(delay) && delay >= 0 && delay <= MAX_DELAY_MS).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
