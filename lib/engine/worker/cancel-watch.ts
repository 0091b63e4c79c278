import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { cancelledJobs } from '../sql/finish-jobs.js';
import type { LeaseKeeper } from './lease-keeper.js';

/** Options of a {@link CancelWatch}. */
export interface CancelWatchOptions {
  readonly session: Session;
  readonly events: EventHub;
  readonly keeper: LeaseKeeper;
  readonly isRunning: () => boolean;
  /** A job of this worker has been cancelled; may be told again and again. */
  readonly onCancelled: (jobId: string) => void;
  readonly intervalMs: number;
}

/** Finds out by polling that running jobs have been cancelled: for when the notification that says so at once does not arrive. */
export class CancelWatch implements Service {
  readonly #ticker: Ticker;

  constructor(private readonly options: CancelWatchOptions) {
    this.#ticker = new Ticker({
      intervalMs: options.intervalMs,
      jitter: 0.2,
      tick: () => this.#look(),
      onError: (error) => reportFailure(options.events, 'look for cancelled jobs', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #look(): Promise<void> {
    const { session, keeper, isRunning, onCancelled } = this.options;
    if (keeper.workerId === 0 || !isRunning()) return;
    for (const { id } of await session.run(cancelledJobs, { workerId: keeper.workerId })) onCancelled(id);
  }
}
