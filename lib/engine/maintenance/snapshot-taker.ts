import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { pruneStats } from '../sql/stats.js';
import { takeSnapshot } from '../sql/take-snapshot.js';

/** Options of a {@link SnapshotTaker}. */
export interface SnapshotTakerOptions {
  readonly session: Session;
  readonly events: EventHub;
}

const INTERVAL_MS = 60_000;
/** One process a minute looks, whatever their number. */
const OLDER_THAN_MS = 50_000;
const PRUNED_EVERY = 30;

/** Writes down once a minute what the queues hold, for charts, and forgets numbers that are too old. */
export class SnapshotTaker implements Service {
  readonly #ticker: Ticker;
  #taken = 0;

  constructor(private readonly options: SnapshotTakerOptions) {
    this.#ticker = new Ticker({
      intervalMs: INTERVAL_MS,
      jitter: 0.2,
      tick: () => this.#tick(),
      onError: (error) => reportFailure(options.events, 'take snapshot', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #tick(): Promise<void> {
    const { session } = this.options;
    const taken = await takeSnapshot((statement, args) => session.run(statement, args), OLDER_THAN_MS);
    if (taken && this.#taken++ % PRUNED_EVERY === 0) await session.run(pruneStats, undefined);
  }
}
