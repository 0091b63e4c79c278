import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { ageJobs, prune } from '../sql/prune.js';

/** Options of a {@link Pruner}. */
export interface PrunerOptions {
  readonly session: Session;
  readonly events: EventHub;
  /** Whether some queue of this process lifts the priority of what waits. */
  readonly ages: () => boolean;
}

const INTERVAL_MS = 60_000;
/** Jobs wait at least this long for a higher priority: ageing needs no more than to be steady. */
const AGEING_INTERVAL_MS = 1_000;
/** The most rows of one kind that go in one transaction. */
const LIMIT = 10_000;
const AGEING_LIMIT = 1_000;

/** Forgets what is over, and lifts the priority of what has waited, where queues ask for that. Every process does it, without a leader. */
export class Pruner implements Service {
  readonly #prunes: Ticker;
  readonly #ageing: Ticker;
  #warned = false;

  constructor(private readonly options: PrunerOptions) {
    const onError = (error: unknown) => reportFailure(options.events, 'prune', error);
    this.#prunes = new Ticker({ intervalMs: INTERVAL_MS, jitter: 0.3, tick: () => this.#prune(), onError });
    this.#ageing = new Ticker({
      intervalMs: AGEING_INTERVAL_MS,
      jitter: 0.3,
      tick: () => this.#age(),
      onError,
    });
  }

  async start(): Promise<void> {
    await this.#prune().catch((error: unknown) => reportFailure(this.options.events, 'prune', error));
    await this.#prunes.start();
    await this.#ageing.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#prunes.stop(), this.#ageing.stop()]);
  }

  async #prune(): Promise<void> {
    const [row] = await this.options.session.run(prune, { limit: LIMIT });
    const problem = row?.problem ?? undefined;
    if (problem !== undefined && !this.#warned)
      this.options.events.emit({
        type: 'engineWarning',
        message: `finished jobs are kept without partitions, and deleted row by row: ${problem}`,
      });
    this.#warned = problem !== undefined;
  }

  async #age(): Promise<void> {
    if (this.options.ages()) await this.options.session.run(ageJobs, { limit: AGEING_LIMIT });
  }
}
