import { Injectable } from '@nestjs/common';
import type { BatchOptions } from '../engine/job/handler.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** A queue with a handler in this process. */
export interface Consumer {
  readonly queue: string;
  /** Name of the Taskmaster instance. */
  readonly instance: string;
  /** `undefined` for a function given to `TaskmasterRuntime.register()`. */
  readonly className: string | undefined;
  readonly methodName: string;
  /** Jobs of the queue that may run here at once; batches, where its handler gets those. */
  readonly concurrency: number;
  /** `undefined` for handlers of single jobs. */
  readonly batch: Required<BatchOptions> | undefined;
  /** Jobs of the queue that run here now. */
  readonly running: number;
}

/** What is registered in an instance. */
@Injectable()
export class ConsumerRegistry {
  constructor(private readonly core: TaskmasterCore) {}

  /** In the order of registration; also consumers of queues that the option `consume` leaves to other processes. */
  list(): Consumer[] {
    return this.core.engine.handlers.map(({ queue, label, concurrency, batch, running }) => {
      const { className, methodName } = this.core.sources.get(queue) ?? {
        className: undefined,
        methodName: label,
      };
      return { queue, instance: this.core.name, className, methodName, concurrency, batch, running };
    });
  }
}
