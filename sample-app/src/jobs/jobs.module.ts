import { Module } from '@nestjs/common';
import { HandlerTimes } from './handler-times.js';
import { HealthController } from './health.controller.js';
import { JobList } from './job-list.js';
import { JobsController } from './jobs.controller.js';

@Module({
  controllers: [HealthController, JobsController],
  providers: [HandlerTimes, JobList],
  exports: [HandlerTimes],
})
export class JobsModule {}
