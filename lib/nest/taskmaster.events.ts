import { Injectable } from '@nestjs/common';
import { Observable } from 'rxjs';
import type { TaskmasterEvent } from '../engine/events.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** What happens in an instance, in this process. For single listeners there is `@OnJobEvent()`. */
@Injectable()
export class TaskmasterEvents {
  /** Every event as it happens, from the subscription on; completes when the application has closed. */
  readonly events$: Observable<TaskmasterEvent>;

  constructor(core: TaskmasterCore) {
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
}
