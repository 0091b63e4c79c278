import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Observable } from 'rxjs';
import type { WatchedEvent, WatchFilter } from '../engine/admin/event-watch.js';
import type { TaskmasterEvent } from '../engine/events.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** What happens in an instance: in this process, and in all. For single listeners there is `@OnJobEvent()`. */
@Injectable()
export class TaskmasterEvents implements OnModuleDestroy {
  /** Every event of this process as it happens, from the subscription on; completes when the application has closed. */
  readonly events$: Observable<TaskmasterEvent>;
  /** Aborted when the application closes: a response that streams would hold it up. */
  readonly #closing = new AbortController();

  constructor(private readonly core: TaskmasterCore) {
    const subscribers = new Set<{ complete(): void }>();
    core.onClosed(() => subscribers.forEach((subscriber) => subscriber.complete()));
    this.events$ = new Observable((subscriber) => {
      subscribers.add(subscriber);
      const unsubscribe = core.engine.events.subscribe((event) => subscriber.next(event));
      return () => {
        subscribers.delete(subscriber);
        unsubscribe();
      };
    });
  }

  onModuleDestroy(): void {
    this.#closing.abort();
  }

  /**
   * Events of all processes that work on queues, as messages for `@Sse()`: each subscription watches on its own. With `after`, the browser's
   * `Last-Event-ID`, it goes on where it was, within two minutes; what cannot be told any more is one message of type `gap`. Completes when the
   * application closes.
   *
   * @throws InvalidOptionsError, and the observable fails as statements do
   */
  watch(filter: WatchFilter = {}): Observable<WatchedEvent> {
    const { engine } = this.core;
    engine.watch(filter, AbortSignal.abort()); // checked at once, not when somebody subscribes
    return new Observable((subscriber) => {
      const over = new AbortController();
      const signal = AbortSignal.any([over.signal, this.#closing.signal]);
      const pass = async () => {
        await this.core.open();
        for await (const message of engine.watch(filter, signal)) subscriber.next(message);
      };
      pass().then(
        () => subscriber.complete(),
        (error: unknown) => subscriber.error(error),
      );
      return () => over.abort();
    });
  }
}
