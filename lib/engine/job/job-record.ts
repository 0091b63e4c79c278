import type { JobError } from '../events.js';
import type { DeadLetter } from './dead-letter.js';
import type { JobState } from './job-state.js';
import type { Reprocessed } from './reprocessed.js';

/** A job as it is stored, for people and tools. */
export interface JobRecord {
  /** A bigint as a string. */
  readonly id: string;
  readonly queue: string;
  readonly state: JobState;
  readonly payload: unknown;
  /** Attempts that have ended. */
  readonly runCount: number;
  /** Attempts that ended with their worker. */
  readonly crashCount: number;
  /** Its own; `undefined`: the queue's. */
  readonly maxAttempts: number | undefined;
  /** Smaller runs first. */
  readonly priority: number;
  readonly createdAt: Date;
  /** When a scheduled job is due. */
  readonly runAt: Date | undefined;
  readonly failedAt: Date | undefined;
  /** Of a job that has ended and is kept. */
  readonly finishedAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  readonly lastError: JobError | undefined;
  /** What its last attempts have thrown, at most ten, oldest first; each cut to a few lines. */
  readonly errors: readonly AttemptError[];
  /** Of a completed job that is kept, where its queue keeps results. */
  readonly result: unknown;
  /** The last that its handler has said of how far it is. */
  readonly progress: unknown;
  /** The newest lines of its log, oldest first: text, or what it was encrypted to. */
  readonly log: readonly unknown[];
  /** Of a running job: since when, and the id of the worker. */
  readonly lockedAt: Date | undefined;
  readonly lockedBy: number | undefined;
  readonly group: string | undefined;
  readonly uniqueKey: string | undefined;
  readonly tags: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Of a dead letter: where it comes from. */
  readonly deadLetter: DeadLetter | undefined;
  /** Of a job that was enqueued again by `reprocess`: the kept job it is a copy of. */
  readonly reprocessed: Reprocessed | undefined;
}

/** What one attempt has thrown. */
export interface AttemptError extends JobError {
  readonly at: Date;
  /** Number of the attempt, 1 for the first. */
  readonly attempt: number;
  /** Host and process, `host:pid`; `undefined` when nobody knows. */
  readonly worker: string | undefined;
}
