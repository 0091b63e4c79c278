import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { AnyQueue } from '../engine/job/queue.js';
import type { InputOf } from '../engine/job/queue-types.js';
import type { EmitOptions } from '../engine/publisher/emit-options.js';
import type { EnqueuedJob, EnqueueOptions, NewJob } from '../engine/publisher/enqueue-options.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** The arguments of an enqueue after the queue: the payload may be left out where `undefined` is one. */
type EnqueueArguments<Queue extends AnyQueue> =
  undefined extends InputOf<Queue>
    ? [payload?: InputOf<Queue>, options?: EnqueueOptions]
    : [payload: InputOf<Queue>, options?: EnqueueOptions];

/**
 * Puts jobs into queues. Works from before the first `onModuleInit` until the application has closed, also while
 * running jobs drain; afterwards calls reject with `TM_CLOSED`.
 */
@Injectable()
export class PublisherService {
  constructor(private readonly core: TaskmasterCore) {}

  /**
   * Stores a job and resolves when it is committed; with `tx`, or inside {@link withTransaction}, when it is
   * part of that transaction.
   */
  async enqueue<Queue extends AnyQueue>(
    queue: Queue,
    ...args: EnqueueArguments<Queue>
  ): Promise<EnqueuedJob> {
    await this.core.open();
    const [payload, options] = args;
    return this.core.engine.publisher.enqueue(queue, payload, options);
  }

  /** Stores many jobs, of one queue or of several, all or none; the ids come in the order of the payloads. */
  async enqueueMany(jobs: readonly NewJob[], options?: Pick<EnqueueOptions, 'tx'>): Promise<EnqueuedJob[]>;
  async enqueueMany<Queue extends AnyQueue>(
    queue: Queue,
    payloads: readonly InputOf<Queue>[],
    options?: EnqueueOptions,
  ): Promise<EnqueuedJob[]>;
  async enqueueMany(
    jobsOrQueue: readonly NewJob[] | AnyQueue,
    payloadsOrOptions?: readonly unknown[] | Pick<EnqueueOptions, 'tx'>,
    options?: EnqueueOptions,
  ): Promise<EnqueuedJob[]> {
    await this.core.open();
    const { publisher } = this.core.engine;
    return isQueue(jobsOrQueue)
      ? publisher.enqueueMany(jobsOrQueue, payloadsOrOptions as readonly unknown[], options)
      : publisher.enqueueMany(jobsOrQueue, payloadsOrOptions as Pick<EnqueueOptions, 'tx'>);
  }

  /**
   * Wakes all jobs that wait for this event with `job.waitForEvent`; it is their payload. Resolves when it is committed; with `tx`, or inside
   * {@link withTransaction}, when it is part of that transaction.
   */
  async emit(event: string, payload?: unknown, options?: EmitOptions): Promise<void> {
    await this.core.open();
    return this.core.engine.publisher.emit(event, payload, options);
  }

  /** Runs `work` in a transaction that the calls to `enqueue` and `emit` inside it join; commits when it returns, rolls back when it throws. */
  async withTransaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    await this.core.open();
    return this.core.engine.publisher.withTransaction(work);
  }
}

function isQueue(jobsOrQueue: readonly NewJob[] | AnyQueue): jobsOrQueue is AnyQueue {
  return !Array.isArray(jobsOrQueue);
}
