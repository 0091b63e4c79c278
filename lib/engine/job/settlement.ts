import type { JobError } from '../events.js';
import type { Backoff } from '../retry/backoff.js';
import type { ErrorAction } from '../retry/error-rule.js';
import { wholeDelay } from '../retry/retry-delay.js';
import { toJobError } from './job-error.js';
import type { Outcome } from './outcome-of.js';

/** What to write for a job whose attempt has ended: the pure decision, one step before SQL. */
export type Settlement =
  | { readonly kind: 'complete'; readonly result: unknown }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: JobError }
  /** `counted: false`: no attempt was made, since none was left, or the job had expired, when its turn came. */
  | {
      readonly kind: 'fail';
      readonly cause: FailureCause;
      readonly error: JobError;
      readonly counted?: false;
    }
  /** With the error that is the reason, when a rule for errors says so. */
  | { readonly kind: 'snooze'; readonly delayMs: number; readonly error?: JobError }
  /** As snooze, and nothing of the queue starts before. */
  | { readonly kind: 'hold'; readonly delayMs: number }
  /** Parked by its own attempt until it wakes, in so many milliseconds; `undefined`: when its event comes. */
  | { readonly kind: 'sleep'; readonly delayMs: number | undefined }
  /** Somebody has cancelled it, and its handler has ended without an ack. */
  | { readonly kind: 'cancel' }
  /** Its payload is of a version that this worker does not know: parked by its own attempt until one comes that does. */
  | { readonly kind: 'leave' }
  /** Handed back unfinished: runs again at once, elsewhere, and no attempt is spent. */
  | { readonly kind: 'release' };

/** Why a job has failed for good: the handler, or a rule, said so; no attempt was left; its time was over. */
export type FailureCause = 'reject' | 'exhausted' | 'expired';

/** What a settlement depends on besides the outcome. */
export interface AttemptCount {
  /** Number of the attempt that ended, 1 for the first. */
  readonly runCount: number;
  /** The job's own, or else the queue's. */
  readonly maxAttempts: number;
  /** What no rule for errors exceeds: the job's own `maxAttempts`. `undefined`: it has none. */
  readonly ownMaxAttempts: number | undefined;
}

/** What is to be done about errors. Its functions must not throw: see `delayOf` and `ruleFor`. */
export interface RetryPolicy {
  /** The wait after this attempt, in whole milliseconds, by this backoff; without one by the job's or the queue's. */
  delayMs(attempt: number, error: unknown, backoff?: Backoff): number;
  /** What the queue's rules say about what was thrown. */
  ruleFor(error: unknown): ErrorAction | undefined;
}

/** What to write for a job, given how its attempt ended. What a handler says itself stands above the rules for what it throws. */
export function settlementOf(outcome: Outcome, attempt: AttemptCount, policy: RetryPolicy): Settlement {
  switch (outcome.kind) {
    case 'ack':
      return { kind: 'complete', result: outcome.result };
    case 'reject':
      return {
        kind: 'fail',
        cause: 'reject',
        error: toJobError(outcome.reason ?? 'rejected without a reason', 'Reject'),
      };
    case 'retry': {
      const error = toJobError(outcome.reason ?? 'the handler asked for a retry', 'Retry');
      return retryOrFail(
        error,
        attempt,
        () => wholeDelay(outcome.delayMs) ?? policy.delayMs(attempt.runCount, outcome.reason),
      );
    }
    case 'snooze':
      return {
        kind: 'snooze',
        delayMs: wholeDelay(outcome.delayMs) ?? policy.delayMs(attempt.runCount, undefined),
      };
    case 'rateLimited':
      return {
        kind: 'hold',
        delayMs: wholeDelay(outcome.retryAfterMs) ?? policy.delayMs(attempt.runCount, undefined),
      };
    case 'error':
      return settlementOfError(outcome.error, attempt, policy);
  }
}

const NO_RULE: ErrorAction = Object.freeze({});

function settlementOfError(thrown: unknown, attempt: AttemptCount, policy: RetryPolicy): Settlement {
  const error = toJobError(thrown);
  const rule = policy.ruleFor(thrown) ?? NO_RULE;
  if (rule.reject) return { kind: 'fail', cause: 'reject', error };
  if (rule.snoozeMs !== undefined) return { kind: 'snooze', delayMs: rule.snoozeMs, error };
  return retryOrFail(error, limitedBy(rule.maxAttempts, attempt), () =>
    policy.delayMs(attempt.runCount, thrown, rule.backoff),
  );
}

function limitedBy(maxAttempts: number | undefined, attempt: AttemptCount): AttemptCount {
  if (maxAttempts === undefined) return attempt;
  return { ...attempt, maxAttempts: Math.min(maxAttempts, attempt.ownMaxAttempts ?? Infinity) };
}

function retryOrFail(error: JobError, attempt: AttemptCount, delayMs: () => number): Settlement {
  return attempt.runCount < attempt.maxAttempts
    ? { kind: 'retry', delayMs: delayMs(), error }
    : { kind: 'fail', cause: 'exhausted', error };
}
