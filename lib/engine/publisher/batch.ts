import type { Transaction } from '../connection/executor.js';
import type { AnyQueue } from '../job/queue.js';
import type { EnqueuedJob, JobOptions, NewJob } from './enqueue-options.js';

/** Takes the jobs of a batch. */
export interface BatchBuilder {
  add(queue: AnyQueue, payload?: unknown, options?: Omit<JobOptions, 'batch'>): void;
}

/** A job that is enqueued at the end of a batch. It counts in none. */
export type BatchCallback = Omit<NewJob, 'batch'>;

/** What is enqueued at the end of a batch, each at most once. Its handler finds the counts in `job.batch`. */
export interface BatchCallbacks {
  /** When all jobs have ended, however. */
  readonly onFinished?: BatchCallback;
  /** When all have completed. */
  readonly onSucceeded?: BatchCallback;
  /** When all have ended, and some have failed or were cancelled. */
  readonly onFailed?: BatchCallback;
}

/** Options of `publisher.batch()`. */
export interface BatchJobsOptions extends BatchCallbacks {
  /** Jobs are still to be added, by the option `batch` of `enqueue`, until `publisher.closeBatch()`. @default false */
  readonly open?: boolean;
  /** A transaction of yours. @default the ambient transaction, or one of its own */
  readonly tx?: Transaction;
}

/** A batch that was enqueued. */
export interface EnqueuedBatch {
  /** A bigint as a string. */
  readonly id: string;
  /** In the order in which they were added. One that was there already, as a unique job may be, does not count in the batch. */
  readonly jobs: readonly EnqueuedJob[];
}

/** What is said about a batch: its jobs. */
export class BatchJobs implements BatchBuilder {
  readonly all: NewJob[] = [];

  add(queue: AnyQueue, payload?: unknown, options: Omit<JobOptions, 'batch'> = {}): void {
    this.all.push({ ...options, queue, payload });
  }

  /** The jobs as those of this batch. */
  of(batch: string): readonly NewJob[] {
    return this.all.map((job) => ({ ...job, batch }));
  }
}
