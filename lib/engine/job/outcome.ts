/**
 * What a handler can say about its job besides returning and throwing: values to return or to throw.
 * They extend `Error` so that `throw reject('...')` is an ordinary throw to linters, filters and interceptors.
 */
const OUTCOME = Symbol.for('taskmaster:outcome');

/** Base of the values made by `ack`, `reject`, `retry`, `snooze` and `rateLimited`, and of what `job.sleep` throws. */
export abstract class HandlerOutcome extends Error {
  readonly [OUTCOME] = true;
  abstract readonly kind: 'ack' | 'reject' | 'retry' | 'snooze' | 'rateLimited' | 'sleep';
}

/** Done; see {@link ack}. */
export class AckOutcome extends HandlerOutcome {
  readonly kind = 'ack';
  override readonly name = 'Ack';
  constructor(readonly result: unknown) {
    super('ack');
  }
}

/** No more attempts; see {@link reject}. */
export class RejectOutcome extends HandlerOutcome {
  readonly kind = 'reject';
  override readonly name = 'Reject';
  constructor(readonly reason: unknown) {
    super(typeof reason === 'string' ? reason : 'rejected', { cause: reason });
  }
}

/** Another attempt, at a chosen time; see {@link retry}. */
export class RetryOutcome extends HandlerOutcome {
  readonly kind = 'retry';
  override readonly name = 'Retry';
  constructor(
    readonly delayMs: number | undefined,
    readonly reason: unknown,
  ) {
    super(typeof reason === 'string' ? reason : 'the handler asked for a retry', { cause: reason });
  }
}

/** Later, without spending an attempt; see {@link snooze}. */
export class SnoozeOutcome extends HandlerOutcome {
  readonly kind = 'snooze';
  override readonly name = 'Snooze';
  constructor(readonly delayMs: number) {
    super('snoozed');
  }
}

/** Somebody else's limit was met; see {@link rateLimited}. */
export class RateLimitedOutcome extends HandlerOutcome {
  readonly kind = 'rateLimited';
  override readonly name = 'RateLimited';
  constructor(readonly retryAfterMs: number) {
    super('rate limited');
  }
}

/**
 * Thrown by `job.sleep` and `job.waitForEvent` to end the attempt, whose job is parked then. Let it through: whatever becomes of it, the
 * attempt ends as sleeping. It is never made by hand.
 */
export class SleepOutcome extends HandlerOutcome {
  readonly kind = 'sleep';
  override readonly name = 'Sleep';
  constructor() {
    super('the job sleeps, and its handler will run again');
  }
}

/** Done. `return ack(value)` says the same as `return value`. */
export function ack(result?: unknown): AckOutcome {
  return new AckOutcome(result);
}

/** No more attempts: the job stays in the table as `failed`, with `reason` as its error. Return or throw it. */
export function reject(reason: unknown): RejectOutcome {
  return new RejectOutcome(reason);
}

/**
 * This attempt failed; try again after `delayMs` instead of the delay of the queue's backoff.
 * Spends an attempt: without one left the job fails. Return or throw it.
 *
 * @throws RangeError when `delayMs` is not a finite number >= 0
 */
export function retry(options: { readonly delayMs?: number; readonly reason?: unknown } = {}): RetryOutcome {
  if (options.delayMs !== undefined) assertDelay('retry', options.delayMs);
  return new RetryOutcome(options.delayMs, options.reason);
}

/**
 * Run this job again after `delayMs`, without spending an attempt. Return or throw it.
 *
 * @throws RangeError when `delayMs` is not a finite number >= 0
 */
export function snooze(delayMs: number): SnoozeOutcome {
  assertDelay('snooze', delayMs);
  return new SnoozeOutcome(delayMs);
}

/**
 * A limit outside was met, such as that of an API that answered 429: this job runs again after `retryAfterMs` without spending an
 * attempt, and nothing of its queue starts before, in any process. Return or throw it.
 *
 * @throws RangeError when `retryAfterMs` is not a finite number >= 0
 */
export function rateLimited({ retryAfterMs }: { readonly retryAfterMs: number }): RateLimitedOutcome {
  assertDelay('rateLimited', retryAfterMs, 'retryAfterMs');
  return new RateLimitedOutcome(retryAfterMs);
}

/** True for the values made here, also by another copy of this package. */
export function isHandlerOutcome(
  value: unknown,
): value is AckOutcome | RejectOutcome | RetryOutcome | SnoozeOutcome | RateLimitedOutcome | SleepOutcome {
  return typeof value === 'object' && value !== null && OUTCOME in value;
}

function assertDelay(what: string, delayMs: number, name = 'delayMs'): void {
  if (typeof delayMs !== 'number' || !Number.isFinite(delayMs) || delayMs < 0) {
    throw new RangeError(
      `${what}: ${name} must be a finite number of milliseconds >= 0, got ${String(delayMs)}`,
    );
  }
}
