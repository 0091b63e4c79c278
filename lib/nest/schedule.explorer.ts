import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { InvalidHandlerError } from '../engine/errors.js';
import type { AnyQueue } from '../engine/job/queue.js';
import { queueNameOf } from '../engine/job/queue-name.js';
import type { ScheduleDefinition } from '../engine/schedule/schedule-definition.js';
import { SCHEDULED_METHODS, type ScheduledEntry } from './decorators/scheduled.decorator.js';
import { discoverMethods, labelOf, type DiscoveredMethod } from './discovered-method.js';
import { instanceOf, type DiscoveredHandler } from './handler.explorer.js';
import { checkedSchedule } from './module-options.checks.js';

/** A `@Scheduled()` of a method. */
export interface DiscoveredSchedule {
  readonly definition: ScheduleDefinition;
  /** `@Scheduled() DigestHandlers.write` */
  readonly label: string;
  /** Name of the instance that fires it. */
  readonly instance: string;
  /** The method as the handler of the schedule's queue, when no `@QueueHandler()` of it says so. */
  readonly handler: DiscoveredHandler | undefined;
}

type ScheduledMethod = DiscoveredMethod<ScheduledEntry>;

/** Finds the `@Scheduled()` methods of an application. Knows Nest; knows no SQL. */
@Injectable()
export class ScheduleExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * The schedules of all instances. A method with several that go to one queue is its handler once.
   *
   * @param handlers the `@QueueHandler()` methods
   * @throws InvalidOptionsError listing every problem
   * @throws InvalidHandlerError when a method handles several queues, and none is named
   */
  explore(handlers: readonly DiscoveredHandler[]): DiscoveredSchedule[] {
    const implied: DiscoveredHandler[] = [];
    return discoverMethods(this.discovery, SCHEDULED_METHODS).map((method) => {
      const schedule = scheduleOf(method, handlers, implied);
      if (schedule.handler !== undefined) implied.push(schedule.handler);
      return schedule;
    });
  }
}

function scheduleOf(
  method: ScheduledMethod,
  handlers: readonly DiscoveredHandler[],
  implied: readonly DiscoveredHandler[],
): DiscoveredSchedule {
  const label = `@Scheduled() ${labelOf(method)}`;
  const { definition, instance } = checkedSchedule(label, method.entry);
  const isOwn = (handler: DiscoveredHandler) =>
    isSameMethod(handler, method) && instanceOf(handler) === instance;
  const queue = definition.queue ?? onlyQueueOf(handlers.filter(isOwn), label) ?? definition.name;
  const handled = [...handlers, ...implied].some((handler) => isOwn(handler) && isFor(handler, queue));
  return {
    definition: { ...definition, queue },
    label,
    instance,
    handler: handled ? undefined : { ...method, entry: { queue, options: { instance } } },
  };
}

function isSameMethod(one: DiscoveredMethod<unknown>, other: DiscoveredMethod<unknown>): boolean {
  return one.wrapper === other.wrapper && one.classRef === other.classRef && one.method === other.method;
}

function isFor(handler: DiscoveredHandler, queue: AnyQueue): boolean {
  return queueNameOf(handler.entry.queue) === queueNameOf(queue);
}

function onlyQueueOf(handlers: readonly DiscoveredHandler[], label: string): AnyQueue | undefined {
  const [first, ...others] = handlers;
  if (others.length === 0) return first?.entry.queue;
  throw new InvalidHandlerError(
    label,
    'it is the handler of several queues. Name the one of the schedule by `queue`.',
  );
}
