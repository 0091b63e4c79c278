import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lib/engine/job/outcome-of.js';
import { type Settlement, settlementOf } from '../../lib/engine/job/settlement.js';

const BACKOFF_MS = 1_234;
const FIRST = { runCount: 1, maxAttempts: 3 };
const LAST = { runCount: 3, maxAttempts: 3 };
const boom = Object.assign(new Error('boom'), { stack: 'at test' });
const BOOM = { name: 'Error', message: 'boom', stack: 'at test' };

const TABLE: [outcome: Outcome, attempt: typeof FIRST, settlement: Settlement][] = [
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
    { runCount: 1, maxAttempts: 1 },
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

describe('settlementOf', () => {
  it.each(TABLE)('turns %j of attempt %j into %j', (outcome, attempt, settlement) => {
    expect(settlementOf(outcome, attempt, () => BACKOFF_MS)).toEqual(settlement);
  });

  it('tells the backoff the number of the attempt, and what was thrown or given as reason', () => {
    const calls: unknown[][] = [];
    const backoff = (...call: unknown[]) => calls.push(call);
    settlementOf({ kind: 'error', error: boom }, { runCount: 2, maxAttempts: 3 }, backoff);
    settlementOf({ kind: 'retry', delayMs: undefined, reason: 'busy' }, FIRST, backoff);
    expect(calls).toEqual([
      [2, boom],
      [1, 'busy'],
    ]);
  });

  it('asks the backoff only when it needs its answer', () => {
    const backoff = () => {
      throw new Error('asked');
    };
    settlementOf({ kind: 'error', error: boom }, LAST, backoff);
    settlementOf({ kind: 'retry', delayMs: 5, reason: boom }, FIRST, backoff);
    settlementOf({ kind: 'snooze', delayMs: 5 }, FIRST, backoff);
    settlementOf({ kind: 'reject', reason: boom }, FIRST, backoff);
    expect(settlementOf({ kind: 'ack', result: 1 }, FIRST, backoff)).toEqual({ kind: 'complete', result: 1 });
  });
});
