import { isHandlerOutcome } from './outcome.js';
import type {
  AckOutcome,
  RateLimitedOutcome,
  RejectOutcome,
  RetryOutcome,
  SleepOutcome,
  SnoozeOutcome,
} from './outcome.js';

/** What a handler said about its job, however it said it. */
export type Outcome =
  | { readonly kind: 'ack'; readonly result: unknown }
  | { readonly kind: 'reject'; readonly reason: unknown }
  /** `delayMs` undefined: the backoff decides. */
  | { readonly kind: 'retry'; readonly delayMs: number | undefined; readonly reason: unknown }
  | { readonly kind: 'snooze'; readonly delayMs: number }
  | { readonly kind: 'rateLimited'; readonly retryAfterMs: number }
  /** It threw. */
  | { readonly kind: 'error'; readonly error: unknown };

/** The outcome of a handler that returned: an ack, unless it returned `reject(...)`, `retry(...)` or `snooze(...)`. */
export function outcomeOfReturn(value: unknown): Outcome {
  return outcomeIn(value) ?? { kind: 'ack', result: value };
}

/** The outcome of a handler that threw: an error, unless it threw `ack(...)`, `reject(...)`, `retry(...)` or `snooze(...)`. */
export function outcomeOfThrow(error: unknown): Outcome {
  return outcomeIn(error) ?? { kind: 'error', error };
}

function outcomeIn(value: unknown): Outcome | undefined {
  try {
    return isHandlerOutcome(value) ? spoken(value) : undefined;
  } catch {
    // A proxy that refuses to be looked at is no outcome of ours.
    return undefined;
  }
}

function spoken(
  said: AckOutcome | RejectOutcome | RetryOutcome | SnoozeOutcome | RateLimitedOutcome | SleepOutcome,
): Outcome {
  switch (said.kind) {
    case 'ack':
      return { kind: 'ack', result: said.result };
    case 'reject':
      return { kind: 'reject', reason: said.reason };
    case 'retry':
      return { kind: 'retry', delayMs: said.delayMs, reason: said.reason };
    case 'snooze':
      return { kind: 'snooze', delayMs: said.delayMs };
    case 'rateLimited':
      return { kind: 'rateLimited', retryAfterMs: said.retryAfterMs };
    case 'sleep':
      // That of this job is known to its attempt, which does not ask here.
      return { kind: 'error', error: new TypeError('The handler ended with the sleep of another job.') };
  }
  // Reached by a newer copy of this package: what it meant is unknown, and an ack would lose the job.
  return {
    kind: 'error',
    error: new TypeError('The handler answered with an outcome that this version does not know.'),
  };
}
