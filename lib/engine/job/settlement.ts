import type { JobError } from '../events.js';
import { wholeDelay } from '../retry/retry-delay.js';
import { toJobError } from './job-error.js';
import type { Outcome } from './outcome-of.js';

/** What to write for a job whose attempt has ended: the pure decision, one step before SQL. */
export type Settlement =
  | { readonly kind: 'complete'; readonly result: unknown }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: JobError }
  /** `counted: false`: no attempt was made, since none was left when the job was claimed. */
  | {
      readonly kind: 'fail';
      readonly cause: 'reject' | 'exhausted';
      readonly error: JobError;
      readonly counted?: false;
    }
  | { readonly kind: 'snooze'; readonly delayMs: number }
  /** As snooze, and nothing of the queue starts before. */
  | { readonly kind: 'hold'; readonly delayMs: number }
  /** Parked by its own attempt until it wakes, in so many milliseconds; `undefined`: when its event comes. */
  | { readonly kind: 'sleep'; readonly delayMs: number | undefined }
  /** Somebody has cancelled it, and its handler has ended without an ack. */
  | { readonly kind: 'cancel' }
  /** Handed back unfinished: runs again at once, elsewhere, and no attempt is spent. */
  | { readonly kind: 'release' };

/** What a settlement depends on besides the outcome. */
export interface AttemptCount {
  /** Number of the attempt that ended, 1 for the first. */
  readonly runCount: number;
  readonly maxAttempts: number;
}

/**
 * What to write for a job, given how its attempt ended.
 *
 * @param backoffDelay the wait after this attempt, in whole milliseconds; must not throw, see `delayOf`
 */
export function settlementOf(
  outcome: Outcome,
  attempt: AttemptCount,
  backoffDelay: (attempt: number, error: unknown) => number,
): Settlement {
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
        () => wholeDelay(outcome.delayMs) ?? backoffDelay(attempt.runCount, outcome.reason),
      );
    }
    case 'snooze':
      return {
        kind: 'snooze',
        delayMs: wholeDelay(outcome.delayMs) ?? backoffDelay(attempt.runCount, undefined),
      };
    case 'rateLimited':
      return {
        kind: 'hold',
        delayMs: wholeDelay(outcome.retryAfterMs) ?? backoffDelay(attempt.runCount, undefined),
      };
    case 'error':
      return retryOrFail(toJobError(outcome.error), attempt, () =>
        backoffDelay(attempt.runCount, outcome.error),
      );
  }
}

function retryOrFail(error: JobError, attempt: AttemptCount, delayMs: () => number): Settlement {
  return attempt.runCount < attempt.maxAttempts
    ? { kind: 'retry', delayMs: delayMs(), error }
    : { kind: 'fail', cause: 'exhausted', error };
}
