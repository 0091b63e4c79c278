import type { Job } from '../job/job.js';

/**
 * Wraps every attempt, outside everything else: `next()` runs the rest and resolves with the handler's result or
 * rejects with what it threw. What the middleware itself returns or throws is the outcome.
 */
export type Middleware = (job: Job, next: () => Promise<unknown>) => Promise<unknown>;

/** Composes middleware around `handler`; the first is outermost. */
export function compose(
  middleware: readonly Middleware[],
  handler: (job: Job) => Promise<unknown>,
): (job: Job) => Promise<unknown> {
  return middleware.reduceRight<(job: Job) => Promise<unknown>>(
    (next, layer) => (job) => layer(job, () => next(job)),
    handler,
  );
}
