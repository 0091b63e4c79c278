import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { EXPIRED } from '../job/job-expired.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { expireJobs, type ExpiredRow } from '../sql/expire-jobs.js';

/** Options of an {@link Expirer}. */
export interface ExpirerOptions {
  readonly session: Session;
  readonly events: EventHub;
  readonly intervalMs: number;
  /** A job has failed for good, because it was too late to start it. */
  readonly onFailed: (queue: string) => void;
}

const LIMIT = 500;

/**
 * Ends waiting jobs that are past their `expiresAt`, so that those that nobody claims end too. Every process does it, at jittered
 * times, without a leader. Attempts look for themselves, so nothing begins late because this comes late.
 */
export class Expirer implements Service {
  readonly #ticker: Ticker;

  constructor(private readonly options: ExpirerOptions) {
    this.#ticker = new Ticker({
      intervalMs: options.intervalMs,
      jitter: 0.5,
      tick: () => this.#tick(),
      onError: (error) => reportFailure(options.events, 'expire', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #tick(): Promise<void> {
    let rows: readonly ExpiredRow[];
    do {
      rows = await this.options.session.run(expireJobs, { limit: LIMIT });
      for (const row of rows) this.#report(row);
    } while (rows.length >= LIMIT);
  }

  #report({ id, queue_name: queue, run_count: runCount }: ExpiredRow): void {
    this.options.onFailed(queue);
    this.options.events.emit({
      type: 'failed',
      queue,
      jobId: id,
      runCount,
      runMs: 0,
      error: EXPIRED,
      cause: 'expired',
    });
  }
}
