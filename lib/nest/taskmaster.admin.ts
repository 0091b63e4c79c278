import { Injectable } from '@nestjs/common';
import type { Admin } from '../engine/admin/admin.js';
import { TaskmasterCore } from './taskmaster.core.js';

/**
 * What people and tools do to jobs, queues, schedules and workers of an instance. Works from before the first `onModuleInit` until
 * the application has closed, in processes that run no jobs too.
 */
@Injectable()
export class TaskmasterAdmin {
  readonly #admin: Admin;

  constructor(core: TaskmasterCore) {
    this.#admin = core.engine.admin;
  }

  /** Jobs: get, list, explain, retry, requeue, redrive dead letters, reprocess kept ones, cancel, delete. */
  get jobs(): Admin['jobs'] {
    return this.#admin.jobs;
  }

  /** Queues: list, stats, size, pause, resume, purge. */
  get queues(): Admin['queues'] {
    return this.#admin.queues;
  }

  /** Workers: list, quiet, resume, stop. */
  get workers(): Admin['workers'] {
    return this.#admin.workers;
  }

  /** Schedules: list, define, pause, resume, preview, fire by hand, delete. */
  get schedules(): Admin['schedules'] {
    return this.#admin.schedules;
  }

  /** Batches: get. */
  get batches(): Admin['batches'] {
    return this.#admin.batches;
  }

  /** Numbers: the overview of all queues, and series for charts. */
  get stats(): Admin['stats'] {
    return this.#admin.stats;
  }

  /** Failed jobs by what their errors have in common: list. */
  get failures(): Admin['failures'] {
    return this.#admin.failures;
  }

  /** Changes of many jobs that are followed and can be stopped: begin, get, list, cancel. */
  get operations(): Admin['operations'] {
    return this.#admin.operations;
  }

  /** Who did what by hand: list, write. */
  get audit(): Admin['audit'] {
    return this.#admin.audit;
  }

  /** The database and the schema: get. */
  get system(): Admin['system'] {
    return this.#admin.system;
  }

  /** Flows: get. */
  get flows(): Admin['flows'] {
    return this.#admin.flows;
  }
}
