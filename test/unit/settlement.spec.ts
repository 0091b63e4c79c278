import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lib/engine/job/outcome-of.js';
import type { ErrorAction } from '../../lib/engine/retry/error-rule.js';
import {
  type AttemptCount,
  type RetryPolicy,
  type Settlement,
  settlementOf,
} from '../../lib/engine/job/settlement.js';

const BACKOFF_MS = 1_234;
const FIRST: AttemptCount = { runCount: 1, maxAttempts: 3, ownMaxAttempts: undefined };
const LAST: AttemptCount = { runCount: 3, maxAttempts: 3, ownMaxAttempts: undefined };
const boom = Object.assign(new Error('boom'), { stack: 'at test' });
const BOOM = { name: 'Error', message: 'boom', stack: 'at test' };

const TABLE: [outcome: Outcome, attempt: AttemptCount, settlement: Settlement][] = [
  [{ kind: 'ack', result: 5 }, FIRST, { kind: 'complete', result: 5 }],
  [{ kind: 'ack', result: undefined }, LAST, { kind: 'complete', result: undefined }],

  [{ kind: 'error', error: boom }, FIRST, { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM }],
  [
    { kind: 'error', error: boom },
    { ...LAST, runCount: 2 },
    { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM },
  ],
  [{ kind: 'error', error: boom }, LAST, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [
    { kind: 'error', error: boom },
    { ...LAST, runCount: 4 },
    { kind: 'fail', cause: 'exhausted', error: BOOM },
  ],
  [
    { kind: 'error', error: boom },
    { ...FIRST, maxAttempts: 1 },
    { kind: 'fail', cause: 'exhausted', error: BOOM },
  ],

  [{ kind: 'reject', reason: boom }, FIRST, { kind: 'fail', cause: 'reject', error: BOOM }],
  [
    { kind: 'reject', reason: 'bad address' },
    LAST,
    { kind: 'fail', cause: 'reject', error: { name: 'Reject', message: 'bad address' } },
  ],
  [
    { kind: 'reject', reason: undefined },
    FIRST,
    { kind: 'fail', cause: 'reject', error: { name: 'Reject', message: 'rejected without a reason' } },
  ],

  [{ kind: 'retry', delayMs: 0, reason: boom }, FIRST, { kind: 'retry', delayMs: 0, error: BOOM }],
  [{ kind: 'retry', delayMs: 1.5, reason: boom }, FIRST, { kind: 'retry', delayMs: 2, error: BOOM }],
  [
    { kind: 'retry', delayMs: undefined, reason: boom },
    FIRST,
    { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM },
  ],
  [{ kind: 'retry', delayMs: NaN, reason: boom }, FIRST, { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM }],
  [{ kind: 'retry', delayMs: 5, reason: boom }, LAST, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [
    { kind: 'retry', delayMs: 5, reason: undefined },
    FIRST,
    { kind: 'retry', delayMs: 5, error: { name: 'Retry', message: 'the handler asked for a retry' } },
  ],

  [{ kind: 'snooze', delayMs: 60_000 }, FIRST, { kind: 'snooze', delayMs: 60_000 }],
  [{ kind: 'snooze', delayMs: 60_000 }, LAST, { kind: 'snooze', delayMs: 60_000 }],
  [{ kind: 'snooze', delayMs: NaN }, FIRST, { kind: 'snooze', delayMs: BACKOFF_MS }],
  [{ kind: 'snooze', delayMs: 1e300 }, FIRST, { kind: 'snooze', delayMs: 3_153_600_000_000 }],
];

/** A policy whose backoff is this function, with the rule that it has for everything thrown. */
function policyOf(delayMs: RetryPolicy['delayMs'], rule?: ErrorAction): RetryPolicy {
  return { delayMs, ruleFor: () => rule };
}

const RULES: [rule: ErrorAction, attempt: AttemptCount, settlement: Settlement][] = [
  [{ reject: true }, FIRST, { kind: 'fail', cause: 'reject', error: BOOM }],
  [{ reject: true }, LAST, { kind: 'fail', cause: 'reject', error: BOOM }],
  [{ snoozeMs: 5_000 }, FIRST, { kind: 'snooze', delayMs: 5_000, error: BOOM }],
  [{ snoozeMs: 0 }, LAST, { kind: 'snooze', delayMs: 0, error: BOOM }],
  [{ backoff: 7 }, FIRST, { kind: 'retry', delayMs: 7, error: BOOM }],
  [{ backoff: 7 }, LAST, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [{ maxAttempts: 1 }, FIRST, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [{ maxAttempts: 2 }, FIRST, { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM }],
  [{ maxAttempts: 4 }, LAST, { kind: 'retry', delayMs: BACKOFF_MS, error: BOOM }],
  [{ maxAttempts: 4, backoff: 7 }, LAST, { kind: 'retry', delayMs: 7, error: BOOM }],
  [{ maxAttempts: 4 }, { ...LAST, runCount: 4 }, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [{ maxAttempts: 4 }, { ...LAST, ownMaxAttempts: 3 }, { kind: 'fail', cause: 'exhausted', error: BOOM }],
  [
    { maxAttempts: 2 },
    { runCount: 2, maxAttempts: 9, ownMaxAttempts: 9 },
    { kind: 'fail', cause: 'exhausted', error: BOOM },
  ],
];

describe('a rule for errors', () => {
  it.each(RULES)('%j makes of an error in attempt %j %j', (rule, attempt, settlement) => {
    const policy = policyOf(
      (_attempt, _error, backoff) => (backoff as number | undefined) ?? BACKOFF_MS,
      rule,
    );
    expect(settlementOf({ kind: 'error', error: boom }, attempt, policy)).toEqual(settlement);
  });

  it.each<[Outcome, Settlement['kind']]>([
    [{ kind: 'ack', result: 1 }, 'complete'],
    [{ kind: 'snooze', delayMs: 1 }, 'snooze'],
    [{ kind: 'retry', delayMs: 1, reason: boom }, 'retry'],
    [{ kind: 'retry', delayMs: undefined, reason: boom }, 'retry'],
  ])('has no say about %j, which the handler says itself', (outcome, kind) => {
    const policy: RetryPolicy = {
      delayMs: () => BACKOFF_MS,
      ruleFor: () => expect.unreachable('asked'),
    };
    expect(settlementOf(outcome, FIRST, policy).kind).toBe(kind);
  });
});

describe('settlementOf', () => {
  it.each(TABLE)('turns %j of attempt %j into %j', (outcome, attempt, settlement) => {
    expect(
      settlementOf(
        outcome,
        attempt,
        policyOf(() => BACKOFF_MS),
      ),
    ).toEqual(settlement);
  });

  it('tells the backoff the number of the attempt, and what was thrown or given as reason', () => {
    const calls: unknown[][] = [];
    const policy = policyOf((...call) => calls.push(call));
    settlementOf({ kind: 'error', error: boom }, { ...FIRST, runCount: 2 }, policy);
    settlementOf({ kind: 'retry', delayMs: undefined, reason: 'busy' }, FIRST, policy);
    expect(calls).toEqual([
      [2, boom, undefined],
      [1, 'busy'],
    ]);
  });

  it('asks the backoff only when it needs its answer', () => {
    const policy = policyOf(() => {
      throw new Error('asked');
    });
    settlementOf({ kind: 'error', error: boom }, LAST, policy);
    settlementOf({ kind: 'retry', delayMs: 5, reason: boom }, FIRST, policy);
    settlementOf({ kind: 'snooze', delayMs: 5 }, FIRST, policy);
    settlementOf({ kind: 'reject', reason: boom }, FIRST, policy);
    expect(settlementOf({ kind: 'ack', result: 1 }, FIRST, policy)).toEqual({ kind: 'complete', result: 1 });
  });
});
