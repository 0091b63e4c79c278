import type { EventHub, EventOf, TaskmasterEvent, TaskmasterEventType } from '../../../lib/engine/events.js';
import { SignalPoint } from '../../support/signal-point.js';

/** What an engine reported, by type, to look at and to wait for: `await log.of('completed').count(3)`. */
export class EventLog {
  readonly all: TaskmasterEvent[] = [];
  readonly #byType = new Map<TaskmasterEventType, SignalPoint<TaskmasterEvent>>();

  constructor(hub: EventHub) {
    hub.subscribe((event) => {
      this.all.push(event);
      this.#point(event.type).signal(event);
    });
  }

  of<T extends TaskmasterEventType>(type: T): SignalPoint<EventOf<T>> {
    return this.#point(type) as unknown as SignalPoint<EventOf<T>>;
  }

  #point(type: TaskmasterEventType): SignalPoint<TaskmasterEvent> {
    const point = this.#byType.get(type) ?? new SignalPoint<TaskmasterEvent>();
    this.#byType.set(type, point);
    return point;
  }
}
