import type { Transaction } from '../connection/executor.js';
import type { AnyQueue } from '../job/queue.js';
import type { BackoffPolicy } from '../retry/backoff.js';

/** Options of one job; what is given here wins over the queue's. */
export interface JobOptions {
  /** Not before this time, by the database's clock. Excludes `delayMs`. */
  readonly runAt?: Date;
  /** Not before this many milliseconds from now, by the database's clock. Excludes `runAt`. */
  readonly delayMs?: number;
  /**
   * After this time, by the database's clock, no attempt begins any more: a job that has not been done by then fails with `TM_EXPIRED`.
   * An attempt that runs is left to end. @default none
   */
  readonly expiresAt?: Date;
  /** -32768 to 32767, smaller runs first. @default 0 */
  readonly priority?: number;
  /** @default the queue's */
  readonly maxAttempts?: number;
  /** A number, an array or a policy; functions cannot be stored with a job. @default the queue's */
  readonly backoff?: number | readonly number[] | BackoffPolicy;
  /** @default the queue's */
  readonly timeoutMs?: number;
  /**
   * Jobs of a queue with the same group run in the order they were enqueued, one at a time unless `groupConcurrency` says more,
   * in whatever process. At most 256 bytes.
   */
  readonly group?: string;
  /** How many of this job's group may run at once. @default the queue's */
  readonly groupConcurrency?: number;
  /** At most one job with this key. @default every job is new */
  readonly unique?: UniqueOptions;
  /** Runs when all of these have completed: ids, what `enqueue` answered, or one of these with a policy of its own. @default waits for none */
  readonly dependsOn?: readonly (ParentRef | ParentEdge)[];
  /** What becomes of it when one that it depends on fails or is cancelled; `ignore`: it runs all the same. @default 'cancel' */
  readonly onParentFailure?: 'cancel' | 'fail' | 'ignore';
  /** Counts in this batch, which must not have ended: see `publisher.batch()`. @default in none */
  readonly batch?: string | { readonly id: string };
  /** Keep its result for an hour, where the queue keeps none. @default false */
  readonly keepResult?: boolean;
  /** Labels for people, at most 20. */
  readonly tags?: readonly string[];
  /** Strings that travel with the job, such as a trace context. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A job that another depends on: its id, or what `enqueue` answered. */
export type ParentRef = string | Pick<EnqueuedJob, 'id'>;

/** A job that another depends on, and what becomes of that when it fails or is cancelled. */
export interface ParentEdge<Ref = ParentRef> {
  readonly job: Ref;
  /** @default the job's `onParentFailure` */
  readonly onFailure?: 'cancel' | 'fail' | 'ignore';
}

/** When a job is the same as another, and what becomes of it then. */
export interface UniqueOptions {
  /** At most 256 bytes. Excludes `fields`. */
  readonly key?: string;
  /** Paths of fields of the payload, such as `user.id`, whose values are the key. Excludes `key`. */
  readonly fields?: readonly string[];
  /**
   * How long a job holds its key: `pending` until it starts, `active` until it has ended, `forever` also after that.
   * @default 'active'; 'pending' where `onConflict` is about jobs that wait: debounce, 'merge', a reducer, 'latest'
   */
  readonly scope?: 'pending' | 'active' | 'forever';
  /** Holds the key for so many milliseconds after the enqueue, whatever becomes of the job. */
  readonly periodMs?: number;
  /**
   * What to do when a job holds the key. `keep` it; `replace` its payload and options, if it has not started; `{ debounceMs, maxWaitMs }`:
   * replace, and start when nobody has enqueued for so long, or at the latest `maxWaitMs` after the first; `merge` the payloads: arrays are
   * concatenated, objects assigned key by key; `latest`: one that runs, and one that waits with the newest payload; `abort` the one
   * that runs, and start when it has ended; `{ reducer }` as `merge`, by a function of the queue's definition. @default 'keep'
   */
  readonly onConflict?:
    | 'keep'
    | 'replace'
    | 'merge'
    | 'latest'
    | 'abort'
    | { readonly debounceMs: number; readonly maxWaitMs?: number }
    | { readonly reducer: string };
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

/** What is used where no options are given. */
export const NO_OPTIONS: EnqueueOptions = Object.freeze({});
