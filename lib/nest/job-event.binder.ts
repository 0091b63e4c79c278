import { Injectable, Logger } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { InvalidHandlerError } from '../engine/errors.js';
import type { EventListener } from '../engine/events.js';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { JOB_EVENT_LISTENERS, type JobEventEntry } from './decorators/on-job-event.decorator.js';
import { discoverMethods, isSingleton, labelOf, type DiscoveredMethod } from './discovered-method.js';

/** A method decorated with `@OnJobEvent()`, once for each of its decorators. */
export type DiscoveredListener = DiscoveredMethod<JobEventEntry>;

/** Finds the `@OnJobEvent()` methods of an application, and makes listeners of them. */
@Injectable()
export class JobEventBinder {
  readonly #logger = new Logger('Taskmaster');

  constructor(private readonly discovery: DiscoveryService) {}

  /** The listeners of all instances. @throws InvalidHandlerError for one whose provider is not a singleton */
  explore(): DiscoveredListener[] {
    const listeners = discoverMethods(this.discovery, JOB_EVENT_LISTENERS);
    for (const listener of listeners) assertSingleton(listener);
    return listeners;
  }

  /** Calls the method for the events it asked for. Its errors are logged and go no further. */
  bind(listener: DiscoveredListener): EventListener {
    const { type, queue } = listener.entry;
    const instance = listener.wrapper.instance as Record<string, (event: unknown) => unknown>;
    const call = async (event: unknown): Promise<unknown> => instance[listener.method]!(event);
    return (event) => {
      if (event.type !== type) return;
      if (queue !== undefined && (!('queue' in event) || event.queue !== queue)) return;
      call(event).catch((error: unknown) => this.#report(listener, error));
    };
  }

  #report(listener: DiscoveredListener, error: unknown): void {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    this.#logger.error(
      `@OnJobEvent('${listener.entry.type}') ${labelOf(listener)} failed: ${message}`,
      stack,
    );
  }
}

/** Name of the instance that a listener listens to. */
export function listenedInstanceOf(listener: DiscoveredListener): string {
  return listener.entry.instance ?? TASKMASTER_DEFAULTS.name;
}

function assertSingleton(listener: DiscoveredListener): void {
  if (isSingleton(listener.wrapper)) return;
  throw new InvalidHandlerError(
    `@OnJobEvent() ${labelOf(listener)}`,
    'its provider, or something it depends on, is request-scoped or transient, and an event belongs to no request. Move the method to a singleton.',
  );
}
