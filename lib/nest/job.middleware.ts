import type { Job } from '../engine/job/job.js';

/** A middleware as a class, for the module option `middleware`: it can have dependencies. */
export interface JobMiddleware {
  /**
   * Wraps one attempt. `next()` runs the rest and resolves with the handler's result or rejects with what it threw;
   * what this returns or throws is the outcome.
   */
  use(job: Job, next: () => Promise<unknown>): Promise<unknown>;
}
