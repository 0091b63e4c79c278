import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';

/** A middleware as a class, for the module option `middleware`: it can have dependencies. */
export interface JobMiddleware {
  /**
   * Wraps one attempt. `next()` runs the rest and resolves with the handler's result or rejects with what it threw;
   * what this returns or throws is the outcome.
   */
  use(job: Job, next: () => Promise<unknown>): Promise<unknown>;
}

/** The same around batches, for the module option `batchMiddleware`. */
export interface JobBatchMiddleware {
  /**
   * Wraps one run of a handler of batches. `next()` runs the rest and resolves with what the handler returned, an outcome a job or
   * nothing, or rejects with what it threw; what this returns or throws counts instead.
   */
  use(jobs: JobBatch, next: () => Promise<unknown>): Promise<unknown>;
}
