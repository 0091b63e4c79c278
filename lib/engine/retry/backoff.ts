/**
 * How long to wait before another attempt.
 * A number is fixed; an array gives the delay after each failure, its last one repeating;
 * a function gets the number of the attempt that failed (1 for the first) and what was thrown.
 */
export type Backoff =
  number | readonly number[] | BackoffPolicy | ((attempt: number, error: unknown) => number);

/** A backoff by formula. With `jitter` the delay is drawn between half of it and all of it. */
export interface BackoffPolicy {
  readonly type: 'fixed' | 'linear' | 'exponential';
  /** Delay after the first failure, in milliseconds. @default 1_000 */
  readonly delayMs?: number;
  /** No delay is longer than this, in milliseconds. @default 3_600_000 */
  readonly maxDelayMs?: number;
  /** @default true */
  readonly jitter?: boolean;
}
