import { REQUEST } from '@nestjs/core';

/**
 * Injects the `Job` of the attempt into request-scoped providers: `@Inject(JOB) job: Job`. The same token as Nest's `REQUEST`,
 * which is the job while a handler runs.
 */
export const JOB = REQUEST;
