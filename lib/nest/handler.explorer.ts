import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { DuplicateHandlerError } from '../engine/errors.js';
import { queueNameOf } from '../engine/job/queue-name.js';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { QUEUE_HANDLERS, type QueueHandlerEntry } from './decorators/queue-handler.decorator.js';
import { discoverMethods, labelOf, type DiscoveredMethod } from './discovered-method.js';

/** A method decorated with `@QueueHandler()`, once for each of its decorators. */
export type DiscoveredHandler = DiscoveredMethod<QueueHandlerEntry>;

/** Finds the `@QueueHandler()` methods of an application. Knows Nest; knows no SQL. */
@Injectable()
export class HandlerExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * The handlers of all instances.
   *
   * @throws InvalidQueueNameError
   * @throws DuplicateHandlerError when a queue has two handlers in one instance
   */
  explore(): DiscoveredHandler[] {
    const handlers = discoverMethods(this.discovery, QUEUE_HANDLERS);
    const byQueue = new Map<string, DiscoveredHandler>();
    for (const handler of handlers) {
      const key = JSON.stringify([instanceOf(handler), queueNameOf(handler.entry.queue)]);
      const first = byQueue.get(key);
      if (first !== undefined) throw duplicate(first, handler);
      byQueue.set(key, handler);
    }
    return handlers;
  }
}

/** Name of the instance that runs a handler. */
export function instanceOf(handler: DiscoveredHandler): string {
  return handler.entry.options.instance ?? TASKMASTER_DEFAULTS.name;
}

/** One class provided in two modules is two handlers, which only their modules tell apart. */
function duplicate(first: DiscoveredHandler, second: DiscoveredHandler): DuplicateHandlerError {
  const sameLabel = labelOf(first) === labelOf(second);
  const nameOf = (handler: DiscoveredHandler): string =>
    sameLabel
      ? `${labelOf(handler)} (in ${handler.wrapper.host?.name ?? 'an unknown module'})`
      : labelOf(handler);
  return new DuplicateHandlerError(queueNameOf(first.entry.queue), nameOf(first), nameOf(second));
}
