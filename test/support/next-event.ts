import { onTestFinished } from 'vitest';
import type { EventHub, EventOf, TaskmasterEventType } from '../../lib/engine/events.js';
import { within } from './within.js';

/** Resolves with the next event of a type, from this call on: call it before what causes the event. */
export function nextEvent<T extends TaskmasterEventType>(
  hub: EventHub,
  type: T,
  predicate: (event: EventOf<T>) => boolean = () => true,
  { timeoutMs = 10_000 } = {},
): Promise<EventOf<T>> {
  const event = new Promise<EventOf<T>>((resolve) => {
    const unsubscribe = hub.subscribe((candidate) => {
      if (candidate.type === type && predicate(candidate as EventOf<T>)) {
        unsubscribe();
        resolve(candidate as EventOf<T>);
      }
    });
    onTestFinished(unsubscribe);
  });
  return within(timeoutMs, `the event "${type}"`, event);
}
