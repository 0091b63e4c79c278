import type { ArgumentsHost } from '@nestjs/common';
import type { Job } from '../engine/job/job.js';

/** Context type of guards, interceptors and filters around a handler: `context.getType() === TASKMASTER_CONTEXT`. */
export const TASKMASTER_CONTEXT = 'taskmaster';

/** For guards, interceptors and filters that also serve HTTP: whether they are called around a handler. */
export function isTaskmasterContext(host: ArgumentsHost): boolean {
  return host.getType<string>() === TASKMASTER_CONTEXT;
}

/** The job of the attempt, in guards, interceptors, filters and custom parameter decorators around a handler. */
export function getJob<Payload = unknown>(host: ArgumentsHost): Job<Payload> {
  return host.getArgByIndex(1);
}
