import type { AnyQueue } from '../../engine/job/queue.js';
import type { QueueDefinition } from '../../engine/job/queue-definition.js';
import type { PayloadOf, ResultOf } from '../../engine/job/queue-types.js';
import type { ScheduleOptions } from '../../engine/schedule/schedule-definition.js';
import { MethodMetadata } from '../method-metadata.js';
import type { HandlerDecorator } from './queue-handler.decorator.js';

/** Options of {@link Scheduled}. */
export interface ScheduledOptions<Queue extends AnyQueue = AnyQueue> extends ScheduleOptions<Queue> {
  /** Name of the Taskmaster instance that fires it and runs its jobs. @default 'default' */
  readonly instance?: string;
}

/** When a method is due: a cron expression of 5 fields, or 6 with seconds first, or an interval in milliseconds. */
export type ScheduledTiming = string | { readonly everyMs: number };

/** What {@link Scheduled} notes about a method. */
export interface ScheduledEntry {
  readonly when: ScheduledTiming;
  readonly options: ScheduledOptions;
}

export const SCHEDULED_METHODS = new MethodMetadata<ScheduledEntry>('taskmaster:schedules', '@Scheduled()');

/**
 * Has a method of a provider run by a schedule: each time it is due one job is enqueued, by whichever process comes first, and handled like any other.
 *
 * ```ts
 * @Scheduled('0 2 * * *', { name: 'nightly-digest', timezone: 'Europe/Berlin' })
 * async write(payload: unknown, job: Job) { await this.digests.write(job.scheduledFor); }
 * ```
 *
 * With `@QueueHandler()` on the same method its jobs go to that queue. Without, the method is itself the handler of `queue`, or of
 * a queue named as the schedule.
 *
 * @throws InvalidHandlerError for static and symbol-named methods, properties and accessors
 */
export function Scheduled<Queue extends AnyQueue>(
  when: ScheduledTiming,
  options: ScheduledOptions<Queue>,
): ScheduledDecorator<Queue> {
  const decorate: MethodDecorator = (target, method, descriptor) =>
    SCHEDULED_METHODS.add(target, method, descriptor, { when, options });
  return decorate as ScheduledDecorator<Queue>;
}

/** Checked against the types of a definition; nothing is known of the payloads of a plain name. */
type ScheduledDecorator<Queue extends AnyQueue> =
  // oxlint-disable-next-line typescript/no-explicit-any -- a definition of whatever payload and result
  Queue extends QueueDefinition<any, any, any>
    ? HandlerDecorator<PayloadOf<Queue>, ResultOf<Queue>>
    : MethodDecorator;
