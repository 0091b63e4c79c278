import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Outcome, outcomeOfReturn, outcomeOfThrow } from '../../lib/engine/job/outcome-of.js';
import { ack, reject, retry, snooze } from '../../lib/engine/job/outcome.js';
import { settlementOf } from '../../lib/engine/job/settlement.js';
import type { Backoff } from '../../lib/engine/retry/backoff.js';
import { MAX_DELAY_MS, delayOf } from '../../lib/engine/retry/retry-delay.js';

const delayMs = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
const said = fc.oneof(
  fc.anything(),
  fc.anything().map((value) => ack(value)),
  fc.anything().map((value) => reject(value)),
  fc.record({ delayMs, reason: fc.anything() }, { requiredKeys: [] }).map((options) => retry(options)),
  delayMs.map((delay) => snooze(delay)),
);
const outcome = fc.oneof(
  said.map((value) => outcomeOfReturn(value)),
  said.map((value) => outcomeOfThrow(value)),
);
const attempt = fc.record({
  runCount: fc.integer({ min: 1, max: 20 }),
  maxAttempts: fc.integer({ min: 1, max: 20 }),
});
const backoff = fc.oneof(fc.nat(), fc.func(fc.anything()), fc.anything()) as fc.Arbitrary<Backoff>;

const settle = (said: Outcome, count: { runCount: number; maxAttempts: number }, policy: Backoff) =>
  settlementOf(said, count, (number, error) => delayOf(policy, number, error, Math.random));

describe('settlementOf', () => {
  it('settles whatever a handler says, whatever its backoff', () => {
    fc.assert(
      fc.property(outcome, attempt, backoff, (said, count, policy) => {
        const settlement = settle(said, count, policy);
        expect(settlement.kind).toBe(expectedKind(said, count));
        if (settlement.kind !== 'retry' && settlement.kind !== 'snooze') return;
        expect(Number.isInteger(settlement.delayMs)).toBe(true);
        expect(settlement.delayMs).toBeGreaterThanOrEqual(0);
        expect(settlement.delayMs).toBeLessThanOrEqual(MAX_DELAY_MS);
      }),
      { numRuns: 1_000 },
    );
  });

  it('never lets a job run more than maxAttempts times', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), (maxAttempts) => {
        let runCount = 1;
        while (settle({ kind: 'error', error: 'x' }, { runCount, maxAttempts }, 0).kind === 'retry')
          runCount += 1;
        expect(runCount).toBe(maxAttempts);
      }),
    );
  });
});

function expectedKind(
  said: Outcome,
  { runCount, maxAttempts }: { runCount: number; maxAttempts: number },
): string {
  if (said.kind === 'ack') return 'complete';
  if (said.kind === 'snooze') return 'snooze';
  if (said.kind === 'reject') return 'fail';
  return runCount < maxAttempts ? 'retry' : 'fail';
}
