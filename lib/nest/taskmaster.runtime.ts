import { Injectable } from '@nestjs/common';
import type {
  BatchHandlerOptions,
  BatchHandlerRegistration,
  BatchOptions,
  HandlerOptions,
  HandlerRegistration,
} from '../engine/job/handler.js';
import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';
import type { AnyQueue } from '../engine/job/queue.js';
import type { PayloadOf, ResultOf } from '../engine/job/queue-types.js';
import type { TaskmasterState } from '../engine/taskmaster.js';
import type { BatchHandlerReturn } from './decorators/queue-batch-handler.decorator.js';
import type { HandlerReturn } from './decorators/queue-handler.decorator.js';
import { settled } from './settled.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** Starts and stops the worker pools of an instance. The application does both by itself unless `autoStart` is `false`. */
@Injectable()
export class TaskmasterRuntime {
  constructor(private readonly core: TaskmasterCore) {}

  get state(): TaskmasterState {
    return this.core.engine.state;
  }

  /** Jobs running here now. */
  get running(): number {
    return this.core.engine.running;
  }

  /** Starts to work on the queues that have handlers. Idempotent; also after `stop()`. */
  async start(): Promise<void> {
    await this.core.engine.start();
  }

  /**
   * Takes no new jobs and waits for those that run, up to `shutdown.drainTimeoutMs`; then they are aborted and handed back.
   * Idempotent. Jobs can still be enqueued.
   */
  async stop(): Promise<void> {
    await this.core.engine.stop();
  }

  /**
   * Registers a function as the handler of a queue, also while running: for handlers that no decorator can name, and for
   * modules that are loaded lazily. Nest's enhancers do not apply to it; middleware does.
   *
   * @throws DuplicateHandlerError when the queue has a handler
   * @throws InvalidOptionsError
   */
  register<Queue extends AnyQueue>(
    queue: Queue,
    handler: (payload: PayloadOf<Queue>, job: Job<PayloadOf<Queue>>) => HandlerReturn<ResultOf<Queue>>,
    options?: HandlerOptions,
  ): void {
    const methodName = nameOf(handler);
    const handle: HandlerRegistration['handle'] = async (payload, job) =>
      settled(await handler(payload, job));
    this.core.register(
      { queue, handle, label: methodName, ...(options === undefined ? {} : { options }) },
      { className: undefined, methodName },
    );
  }

  /**
   * The same for batches: the function gets many jobs at once, and returns nothing or an outcome a job, see `@QueueBatchHandler()`.
   * `batchMiddleware` applies to it.
   *
   * @throws DuplicateHandlerError when the queue has a handler
   * @throws InvalidOptionsError
   */
  registerBatch<Queue extends AnyQueue>(
    queue: Queue,
    handler: (
      payloads: PayloadOf<Queue>[],
      jobs: JobBatch<PayloadOf<Queue>>,
    ) => BatchHandlerReturn<ResultOf<Queue>>,
    { size, waitMs, ...options }: BatchOptions & BatchHandlerOptions,
  ): void {
    const methodName = nameOf(handler);
    const handleBatch: BatchHandlerRegistration['handleBatch'] = async (payloads, jobs) =>
      settled(await handler(payloads, jobs));
    const batch = { size, ...(waitMs === undefined ? {} : { waitMs }) };
    this.core.register(
      { queue, batch, handleBatch, label: methodName, options },
      { className: undefined, methodName },
    );
  }
}

function nameOf(handler: { readonly name: string }): string {
  return handler.name === '' ? 'anonymous' : handler.name;
}
