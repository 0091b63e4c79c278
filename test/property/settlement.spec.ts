import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Outcome, outcomeOfReturn, outcomeOfThrow } from '../../lib/engine/job/outcome-of.js';
import { ack, reject, retry, snooze } from '../../lib/engine/job/outcome.js';
import { type AttemptCount, settlementOf } from '../../lib/engine/job/settlement.js';
import type { Backoff } from '../../lib/engine/retry/backoff.js';
import { type ErrorMatch, type ErrorRule, mostAttempts, ruleFor } from '../../lib/engine/retry/error-rule.js';
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

const match = fc.oneof(
  fc.constantFrom<ErrorMatch>(Error, TypeError, class Unrelated {}, 'TypeError', 'x'),
  fc.func(fc.oneof(fc.boolean(), fc.anything())) as fc.Arbitrary<ErrorMatch>,
  fc.constant<ErrorMatch>(() => {
    throw new Error('broken');
  }),
);
const rule = fc.tuple(
  match,
  fc.oneof(
    fc.constant({ reject: true as const }),
    fc.record({ snoozeMs: fc.nat(MAX_DELAY_MS) }),
    fc.record({ backoff, maxAttempts: fc.integer({ min: 1, max: 30 }) }, { requiredKeys: [] }),
  ),
);
const rules = fc
  .array(rule, { maxLength: 4 })
  .map((made) => made.map(([match, action]) => ({ match, ...action })));

const settle = (
  said: Outcome,
  count: Pick<AttemptCount, 'runCount' | 'maxAttempts'> & Partial<AttemptCount>,
  policy: Backoff,
  errors: readonly ErrorRule[] = [],
) =>
  settlementOf(
    said,
    { ownMaxAttempts: undefined, ...count },
    {
      delayMs: (number, error, own = policy) => delayOf(own, number, error, Math.random),
      ruleFor: (error) => ruleFor(errors, error),
    },
  );

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

  it('settles whatever a handler throws, whatever the rules of its queue', () => {
    fc.assert(
      fc.property(fc.anything(), attempt, backoff, rules, (error, count, policy, errors) => {
        const settlement = settle({ kind: 'error', error }, count, policy, errors);
        expect(settlement).toMatchObject(ruledBy(ruleFor(errors, error), count));
        expect(settlement.kind === 'retry' && !Number.isInteger(settlement.delayMs)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('never lets rules retry a job beyond what the queue, the rules and the job itself allow', () => {
    const own = fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined });
    fc.assert(
      fc.property(fc.anything(), attempt, own, rules, (error, count, ownMaxAttempts, errors) => {
        const maxAttempts = ownMaxAttempts ?? count.maxAttempts;
        const settlement = settle(
          { kind: 'error', error },
          { ...count, maxAttempts, ownMaxAttempts },
          0,
          errors,
        );
        const most = ownMaxAttempts ?? Math.max(maxAttempts, mostAttempts(errors));
        expect(settlement.kind === 'retry' && count.runCount >= most).toBe(false);
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

function ruledBy(rule: ErrorRule | undefined, count: Pick<AttemptCount, 'runCount' | 'maxAttempts'>): object {
  if (rule?.reject) return { kind: 'fail', cause: 'reject' };
  if (rule?.snoozeMs !== undefined) return { kind: 'snooze', delayMs: rule.snoozeMs };
  const most = rule?.maxAttempts ?? count.maxAttempts;
  return count.runCount < most ? { kind: 'retry' } : { kind: 'fail', cause: 'exhausted' };
}

function expectedKind(
  said: Outcome,
  { runCount, maxAttempts }: { runCount: number; maxAttempts: number },
): string {
  if (said.kind === 'ack') return 'complete';
  if (said.kind === 'snooze') return 'snooze';
  if (said.kind === 'reject') return 'fail';
  return runCount < maxAttempts ? 'retry' : 'fail';
}
