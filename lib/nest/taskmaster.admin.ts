import { Injectable } from '@nestjs/common';
import type { Admin } from '../engine/admin/admin.js';
import { TaskmasterCore } from './taskmaster.core.js';

/**
 * What people and tools do to jobs, queues and schedules of an instance. Works from before the first `onModuleInit` until
 * the application has closed, in processes that run no jobs too.
 */
@Injectable()
export class TaskmasterAdmin {
  readonly #admin: Admin;

  constructor(core: TaskmasterCore) {
    this.#admin = core.engine.admin;
  }

  /** Jobs: get, list, retry, requeue, redrive dead letters, delete. */
  get jobs(): Admin['jobs'] {
    return this.#admin.jobs;
  }

  /** Schedules: list, define, pause, resume, preview, fire by hand, delete. */
  get schedules(): Admin['schedules'] {
    return this.#admin.schedules;
  }
}
