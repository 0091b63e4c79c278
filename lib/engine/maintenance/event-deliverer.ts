import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { deliverEvents } from '../sql/emit-events.js';

/** Options of an {@link EventDeliverer}. */
export interface EventDelivererOptions {
  readonly session: Session;
  readonly events: EventHub;
  /** Whether notifications arrive. */
  readonly hears: () => boolean;
  /** Jobs of this queue were woken. */
  readonly onReady: (queue: string) => void;
}

/** The most events in one transaction. */
const LIMIT = 100;
/** Whoever emits calls; this is for notifications that do not arrive, and for events that expire. */
const HEARD_INTERVAL_MS = 5_000;
const UNHEARD_INTERVAL_MS = 1_000;
/** A job that an event is for is locked by somebody: tried again after this. */
const LOCKED_PAUSE_MS = 50;

/**
 * Wakes the jobs that wait for events: whoever emits only writes it down, so that nobody's transaction waits for the row of a job. Every process
 * delivers, without a leader.
 */
export class EventDeliverer implements Service {
  readonly #ticker: Ticker;
  readonly #stopped = new AbortController();
  #delivering: Promise<void> | undefined;
  #again = false;

  constructor(private readonly options: EventDelivererOptions) {
    this.#ticker = new Ticker({
      intervalMs: () => (options.hears() ? HEARD_INTERVAL_MS : UNHEARD_INTERVAL_MS),
      jitter: 0.2,
      tick: () => this.#called(),
      onError: (error) => reportFailure(options.events, 'deliver events', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#ticker.stop();
    await this.#delivering;
  }

  /** Something was emitted. */
  call(): void {
    void this.#called();
  }

  #called(): Promise<void> {
    this.#again = true;
    return (this.#delivering ??= this.#deliverAll().finally(() => (this.#delivering = undefined)));
  }

  async #deliverAll(): Promise<void> {
    while (this.#again && !this.#stopped.signal.aborted) {
      this.#again = false;
      await this.#deliver().catch((error: unknown) =>
        reportFailure(this.options.events, 'deliver events', error),
      );
    }
  }

  async #deliver(): Promise<void> {
    const [row] = await this.options.session.run(deliverEvents, { limit: LIMIT });
    if (row === undefined) return;
    for (const queue of row.queues) this.options.onReady(queue);
    const more = row.delivered + row.held === LIMIT || row.held > 0;
    if (more && row.delivered + row.ended > 0) this.#again = true;
    else if (row.held > 0) await this.#lookAgain();
  }

  async #lookAgain(): Promise<void> {
    await pause(LOCKED_PAUSE_MS, this.#stopped.signal);
    this.#again = true;
  }
}
