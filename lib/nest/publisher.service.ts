import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { AnyQueue } from '../engine/job/queue.js';
import type { InputOf, ResultOf } from '../engine/job/queue-types.js';
import type { BatchBuilder, BatchJobsOptions, EnqueuedBatch } from '../engine/publisher/batch.js';
import type { EmitOptions } from '../engine/publisher/emit-options.js';
import type { EnqueuedJob, EnqueueOptions, NewJob } from '../engine/publisher/enqueue-options.js';
import type { Flow } from '../engine/publisher/flow.js';
import type { CallOptions } from '../engine/publisher/publisher.js';
import type { ResultOptions } from '../engine/publisher/result-watch.js';
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

  /** Stores a job and waits for what its handler returns; see {@link result}. Not inside a transaction, which the job would wait for. */
  async call<Queue extends AnyQueue>(
    queue: Queue,
    payload: InputOf<Queue>,
    options?: CallOptions,
  ): Promise<ResultOf<Queue>> {
    await this.core.open();
    return this.core.engine.publisher.call<ResultOf<Queue>>(queue, payload, options);
  }

  /**
   * Waits for a job to end and answers with what its handler returned; where the queue keeps no results, that has to be asked
   * for at enqueue (`keepResult`) or before the job is claimed.
   *
   * @throws JobFailedError when it failed or was cancelled; ResultTimeoutError; ResultNotKeptError; the signal's reason
   */
  async result(jobId: string, options?: ResultOptions): Promise<unknown> {
    await this.core.open();
    return this.core.engine.publisher.result(jobId, options);
  }

  /** Stores a graph of jobs, all or none; children run when their parents have completed, and find their results in `job.parents()`. */
  async flow(build: (flow: Flow) => void, options?: Pick<EnqueueOptions, 'tx'>): Promise<EnqueuedJob[]> {
    await this.core.open();
    return this.core.engine.publisher.flow(build, options);
  }

  /** Stores jobs that are counted together, all or none, and what is enqueued when the last of them has ended; it finds the counts in `job.batch`. */
  async batch(build: (batch: BatchBuilder) => void, options?: BatchJobsOptions): Promise<EnqueuedBatch> {
    await this.core.open();
    return this.core.engine.publisher.batch(build, options);
  }

  /** No job is added to the batch from outside any more: it ends with the last of its jobs, or now. False when it was closed, or there is none. */
  async closeBatch(
    batch: string | { readonly id: string },
    options?: Pick<EnqueueOptions, 'tx'>,
  ): Promise<boolean> {
    await this.core.open();
    return this.core.engine.publisher.closeBatch(batch, options);
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
