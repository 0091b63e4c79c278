import { Controller, Get, Query, StandardSchemaValidationPipe } from '@nestjs/common';
import type { z } from 'zod';
import { HandlerTimes, type QueueTimes } from './handler-times.js';
import { JobFilter, JobList, type ListedJob } from './job-list.js';

@Controller('jobs')
export class JobsController {
  constructor(
    private readonly jobs: JobList,
    private readonly times: HandlerTimes,
  ) {}

  /** `GET /jobs?state=failed&limit=20`: 400 for a state that does not exist. */
  @Get()
  list(
    @Query({ schema: JobFilter, pipes: [StandardSchemaValidationPipe] }) filter: z.output<typeof JobFilter>,
  ): Promise<ListedJob[]> {
    return this.jobs.read(filter);
  }

  /** What the interceptor has measured in this process. */
  @Get('times')
  timesByQueue(): Record<string, QueueTimes> {
    return this.times.all();
  }
}
