import type { Transaction } from '../connection/executor.js';
import type { AnyQueue } from '../job/queue.js';
import type { BackoffPolicy } from '../retry/backoff.js';

/** Options of one job; what is given here wins over the queue's. */
export interface JobOptions {
  /** Not before this time, by the database's clock. Excludes `delayMs`. */
  readonly runAt?: Date;
  /** Not before this many milliseconds from now, by the database's clock. Excludes `runAt`. */
  readonly delayMs?: number;
  /** -32768 to 32767, smaller runs first. @default 0 */
  readonly priority?: number;
  /** @default the queue's */
  readonly maxAttempts?: number;
  /** A number, an array or a policy; functions cannot be stored with a job. @default the queue's */
  readonly backoff?: number | readonly number[] | BackoffPolicy;
  /** @default the queue's */
  readonly timeoutMs?: number;
  /** Labels for people, at most 20. */
  readonly tags?: readonly string[];
  /** Strings that travel with the job, such as a trace context. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Options of an enqueue call. */
export interface EnqueueOptions extends JobOptions {
  /** A transaction of yours: the job exists if and only if it commits. @default the ambient transaction, or none */
  readonly tx?: Transaction;
}

/** One job of a mixed `enqueueMany`. */
export interface NewJob extends JobOptions {
  readonly queue: AnyQueue;
  readonly payload?: unknown;
}

/** The answer to an enqueue. */
export interface EnqueuedJob {
  /** A bigint as a string. */
  readonly id: string;
  readonly queue: string;
  /** True when an equal unique job was there already and this is its id. */
  readonly deduplicated: boolean;
}
