import type { Observable } from 'rxjs';
import type { HandlerOptions } from '../../engine/job/handler.js';
import type { Job } from '../../engine/job/job.js';
import type { HandlerOutcome } from '../../engine/job/outcome.js';
import type { AnyQueue } from '../../engine/job/queue.js';
import type { QueueDefinition } from '../../engine/job/queue-definition.js';
import type { KnownQueueName, PayloadOf, ResultOf } from '../../engine/job/queue-types.js';
import type { EnhancerOptions } from '../enhancers.js';
import { MethodMetadata } from '../method-metadata.js';
import type { QueueBatchHandlerOptions } from './queue-batch-handler.decorator.js';

/** Options of {@link QueueHandler}; they win over those of the queue's definition. */
export interface QueueHandlerOptions extends HandlerOptions {
  /** Which global enhancers apply to this handler. @default the module's `enhancers` */
  readonly enhancers?: EnhancerOptions;
  /** Name of the Taskmaster instance that runs it. @default 'default' */
  readonly instance?: string;
}

/** What {@link QueueHandler} and `QueueBatchHandler` note about a method. */
export type QueueHandlerEntry =
  | { readonly queue: AnyQueue; readonly options: QueueHandlerOptions; readonly batches?: false }
  | { readonly queue: AnyQueue; readonly options: QueueBatchHandlerOptions; readonly batches: true };

/** Where the handlers of a class are noted. */
export const HANDLERS_KEY = 'taskmaster:handlers';
export const QUEUE_HANDLERS = new MethodMetadata<QueueHandlerEntry>(HANDLERS_KEY, '@QueueHandler()');

/** What a handler of a queue with this result may return. */
export type HandlerReturn<Result> = Settled<Result> | Promise<Settled<Result>> | Observable<Settled<Result>>;
type Settled<Result> = Result | HandlerOutcome;

/**
 * A method that can handle such jobs: `(payload, job)`, or fewer parameters, or more, which are decorated then.
 * The second may be the job's signal instead (`@JobSignal()`).
 */
export type HandlerMethod<Payload, Result> = (
  payload: Payload,
  job: Job<Payload> & AbortSignal,
  // oxlint-disable-next-line typescript/no-explicit-any -- parameters filled by decorators, which the type system cannot see
  ...rest: any[]
) => HandlerReturn<Result>;

/** Decorates a method that is assignable to `Method`, and nothing else. */
export type TypedMethodDecorator<Method> = <Actual extends Method>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<Actual>,
) => void;

/** With `any` as payload nothing is known about the parameters, so nothing is checked. */
export type HandlerDecorator<Payload, Result> = 0 extends 1 & Payload
  ? MethodDecorator
  : TypedMethodDecorator<HandlerMethod<Payload, Result>>;

/**
 * Makes a method of a provider or controller the handler of a queue: it is called with `(payload, job)`.
 * Returning acks the job; the value is its result. Throwing retries it by the queue's policy.
 *
 * The method is checked against the types of the definition, or of `TaskmasterQueues` for a plain string.
 * `@QueueHandler<any>(queue)` turns the check off, for methods whose decorated parameters come in another order.
 * One method may serve several queues; a queue has one handler in an instance.
 *
 * @throws InvalidHandlerError for static and symbol-named methods, properties and accessors
 */
export function QueueHandler<Payload, Result = unknown>(
  // oxlint-disable-next-line typescript/no-explicit-any -- what `enqueue` accepts does not matter to the handler
  queue: QueueDefinition<Payload, Result, any>,
  options?: QueueHandlerOptions,
): HandlerDecorator<Payload, Result>;
export function QueueHandler<Name extends KnownQueueName>(
  queue: Name,
  options?: QueueHandlerOptions,
): TypedMethodDecorator<HandlerMethod<PayloadOf<Name>, ResultOf<Name>>>;
export function QueueHandler(queue: string, options?: QueueHandlerOptions): MethodDecorator;
export function QueueHandler(queue: AnyQueue, options: QueueHandlerOptions = {}): MethodDecorator {
  return (target, method, descriptor) => QUEUE_HANDLERS.add(target, method, descriptor, { queue, options });
}
