import type { ArgumentsHost } from '@nestjs/common';
import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';

/** Context type of guards, interceptors and filters around a handler: `context.getType() === TASKMASTER_CONTEXT`. */
export const TASKMASTER_CONTEXT = 'taskmaster';

/** For guards, interceptors and filters that also serve HTTP: whether they are called around a handler. */
export function isTaskmasterContext(host: ArgumentsHost): boolean {
  return host.getType<string>() === TASKMASTER_CONTEXT;
}

/**
 * The job of the attempt, in guards, interceptors, filters and custom parameter decorators around a handler.
 * Around a handler of batches it is the first of them; see {@link getJobs}.
 */
export function getJob<Payload = unknown>(host: ArgumentsHost): Job<Payload> {
  return getJobs<Payload>(host)[0] as Job<Payload>;
}

/** The jobs of the batch, in the same places; around a handler of single jobs a list of its one. */
export function getJobs<Payload = unknown>(host: ArgumentsHost): readonly Job<Payload>[] {
  const subject = host.getArgByIndex<Job<Payload> | JobBatch<Payload>>(1);
  return Array.isArray(subject) ? subject : [subject];
}
