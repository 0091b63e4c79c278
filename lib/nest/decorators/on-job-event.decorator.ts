import type { EventOf, TaskmasterEventType } from '../../engine/events.js';
import { MethodMetadata } from '../method-metadata.js';
import type { TypedMethodDecorator } from './queue-handler.decorator.js';

/** Options of {@link OnJobEvent}. */
export interface OnJobEventOptions {
  /** Name of the Taskmaster instance to listen to. @default 'default' */
  readonly instance?: string;
}

/** What {@link OnJobEvent} notes about a method. */
export interface JobEventEntry extends OnJobEventOptions {
  readonly type: TaskmasterEventType;
  readonly queue: string | undefined;
}

export const JOB_EVENT_LISTENERS = new MethodMetadata<JobEventEntry>('taskmaster:listeners', '@OnJobEvent()');

/**
 * Calls a method of a singleton provider for each event of a type, as it happens in this process; of one queue only, when it is named.
 * What the method throws is logged, and disturbs neither the job nor the engine.
 *
 * ```ts
 * @OnJobEvent('failed', 'send_email')
 * onFailed(event: FailedEvent) { this.pager.page(event.jobId, event.error.message); }
 * ```
 *
 * @throws InvalidHandlerError for static and symbol-named methods, properties and accessors
 */
export function OnJobEvent<Type extends TaskmasterEventType>(
  type: Type,
  queue?: string | { readonly name: string },
  options: OnJobEventOptions = {},
): TypedMethodDecorator<(event: EventOf<Type>) => unknown> {
  const entry = { ...options, type, queue: typeof queue === 'object' ? queue.name : queue };
  return (target, method, descriptor) => JOB_EVENT_LISTENERS.add(target, method, descriptor, entry);
}
