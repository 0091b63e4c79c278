import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { takeUp, type TakeUpArgs } from '../sql/payload-versions.js';

/** Options of a {@link VersionKeeper}. */
export interface VersionKeeperOptions {
  readonly session: Session;
  readonly events: EventHub;
  /** The queues of this process whose payloads have a version, and which. */
  readonly queues: () => TakeUpArgs['queues'];
  readonly onReady: (queue: string) => void;
}

const INTERVAL_MS = 1_000;
const LIMIT = 1_000;

/**
 * Takes up jobs that workers of an earlier release have left because they did not know the version of the payload. Where no queue has versions it
 * does nothing. While workers of both releases run, a job may be left more than once: an earlier one may claim it again.
 */
export class VersionKeeper implements Service {
  readonly #ticker: Ticker;

  constructor(private readonly options: VersionKeeperOptions) {
    this.#ticker = new Ticker({
      intervalMs: INTERVAL_MS,
      jitter: 0.3,
      tick: () => this.#takeUp(),
      onError: (error) => reportFailure(options.events, 'takeUp', error),
    });
  }

  async start(): Promise<void> {
    await this.#takeUp().catch((error: unknown) => reportFailure(this.options.events, 'takeUp', error));
    await this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #takeUp(): Promise<void> {
    const queues = this.options.queues();
    if (queues.length === 0) return;
    for (const { queue } of await this.options.session.run(takeUp, { queues, limit: LIMIT }))
      this.options.onReady(queue);
  }
}
