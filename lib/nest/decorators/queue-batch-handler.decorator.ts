import type { Observable } from 'rxjs';
import type { BatchHandlerOptions, BatchOptions } from '../../engine/job/handler.js';
import type { JobBatch } from '../../engine/job/job-batch.js';
import type { HandlerOutcome } from '../../engine/job/outcome.js';
import type { AnyQueue } from '../../engine/job/queue.js';
import type { QueueDefinition } from '../../engine/job/queue-definition.js';
import type { KnownQueueName, PayloadOf, ResultOf } from '../../engine/job/queue-types.js';
import type { EnhancerOptions } from '../enhancers.js';
import { MethodMetadata } from '../method-metadata.js';
import {
  HANDLERS_KEY,
  type QueueHandlerEntry,
  type TypedMethodDecorator,
} from './queue-handler.decorator.js';

/** Options of {@link QueueBatchHandler}: of its batches, and those of its queue, which win over those of the definition. */
export interface QueueBatchHandlerOptions extends BatchOptions, BatchHandlerOptions {
  /** Which global enhancers apply to this handler. @default the module's `enhancers` */
  readonly enhancers?: EnhancerOptions;
  /** Name of the Taskmaster instance that runs it. @default 'default' */
  readonly instance?: string;
}

/** Kept with those of handlers of single jobs: a queue has one handler. */
const BATCH_HANDLERS = new MethodMetadata<QueueHandlerEntry>(HANDLERS_KEY, '@QueueBatchHandler()');

/** What a handler of batches of a queue with this result may return: for each job, or nothing where that is a result. */
export type BatchHandlerReturn<Result> =
  BatchAnswer<Result> | Promise<BatchAnswer<Result>> | Observable<BatchAnswer<Result>>;
type BatchAnswer<Result> =
  | readonly (JobAnswer<Result> | PromiseLike<JobAnswer<Result>>)[]
  | HandlerOutcome
  // oxlint-disable-next-line typescript/no-invalid-void-type -- what a method returns that returns nothing
  | (undefined extends Result ? void : never);
type JobAnswer<Result> = Result | HandlerOutcome | Error;

/**
 * A method that can handle batches of such jobs: `(payloads, jobs)`, or fewer parameters, or more, which are decorated then.
 * The second may be the signal of the batch instead (`@JobSignal()`).
 */
export type BatchHandlerMethod<Payload, Result> = (
  payloads: Payload[],
  jobs: JobBatch<Payload> & AbortSignal,
  // oxlint-disable-next-line typescript/no-explicit-any -- parameters filled by decorators, which the type system cannot see
  ...rest: any[]
) => BatchHandlerReturn<Result>;

/** With `any` as payload nothing is known about the parameters, so nothing is checked. */
type BatchHandlerDecorator<Payload, Result> = 0 extends 1 & Payload
  ? MethodDecorator
  : TypedMethodDecorator<BatchHandlerMethod<Payload, Result>>;

/**
 * Makes a method of a provider or controller the handler of a queue, that gets many jobs at once: it is called with `(payloads, jobs)`,
 * when `size` jobs are there, or `waitMs` after the first.
 *
 * Returning nothing acks all of them. An array says for each job, in their order, what a handler of that job would return, with an
 * `Error` where it would throw one; promises are waited for. Throwing fails all of them, each by its own policy.
 *
 * Guards, interceptors, pipes and filters see the batch once. See {@link QueueHandler} for what holds for both.
 *
 * @throws InvalidHandlerError for static and symbol-named methods, properties and accessors
 */
export function QueueBatchHandler<Payload, Result = unknown>(
  // oxlint-disable-next-line typescript/no-explicit-any -- what `enqueue` accepts does not matter to the handler
  queue: QueueDefinition<Payload, Result, any>,
  options: QueueBatchHandlerOptions,
): BatchHandlerDecorator<Payload, Result>;
export function QueueBatchHandler<Name extends KnownQueueName>(
  queue: Name,
  options: QueueBatchHandlerOptions,
): TypedMethodDecorator<BatchHandlerMethod<PayloadOf<Name>, ResultOf<Name>>>;
export function QueueBatchHandler(queue: string, options: QueueBatchHandlerOptions): MethodDecorator;
export function QueueBatchHandler(queue: AnyQueue, options?: QueueBatchHandlerOptions): MethodDecorator {
  // Without a size it is refused at boot, and the error lists what else is wrong.
  const given = options ?? ({} as QueueBatchHandlerOptions);
  return (target, method, descriptor) =>
    BATCH_HANDLERS.add(target, method, descriptor, { queue, options: given, batches: true });
}
