import type { Job } from '../job/job.js';
import type { JobBatch } from '../job/job-batch.js';

/**
 * Wraps every attempt, outside everything else: `next()` runs the rest and resolves with the handler's result or
 * rejects with what it threw. What the middleware itself returns or throws is the outcome.
 */
export type Middleware = (job: Job, next: () => Promise<unknown>) => Promise<unknown>;

/** The same around a batch: `next()` resolves with what its handler returned, an outcome a job or nothing. */
export type BatchMiddleware = (jobs: JobBatch, next: () => Promise<unknown>) => Promise<unknown>;

/** Composes middleware around `handler`; the first is outermost. */
export function compose<Subject>(
  middleware: readonly ((subject: Subject, next: () => Promise<unknown>) => Promise<unknown>)[],
  handler: (subject: Subject) => Promise<unknown>,
): (subject: Subject) => Promise<unknown> {
  return middleware.reduceRight<(subject: Subject) => Promise<unknown>>(
    (next, layer) => (subject) => layer(subject, () => next(subject)),
    handler,
  );
}
