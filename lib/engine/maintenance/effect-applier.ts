import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { applyEffects } from '../sql/queue-state.js';

/** Options of an {@link EffectApplier}. */
export interface EffectApplierOptions {
  readonly session: Session;
  readonly events: EventHub;
}

/** The most ends of jobs in one transaction. */
const LIMIT = 500;
/** Whoever ends a job calls; this is for those that died before. */
const INTERVAL_MS = 5_000;

/**
 * Tells jobs that wait for others, and batches, what has become of those: whoever ends a job only writes it down, so that
 * nobody waits for the row of a common child or batch.
 */
export class EffectApplier implements Service {
  readonly #ticker: Ticker;
  #applying: Promise<void> | undefined;
  #again = false;

  constructor(private readonly options: EffectApplierOptions) {
    this.#ticker = new Ticker({
      intervalMs: INTERVAL_MS,
      jitter: 0.2,
      tick: () => this.#apply(),
      onError: (error) => reportFailure(options.events, 'apply effects', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  async stop(): Promise<void> {
    await this.#ticker.stop();
    await this.#applying;
  }

  /** Jobs have ended that mean something to others. */
  call(): void {
    this.#again = true;
    this.#applying ??= this.#applyAll().finally(() => (this.#applying = undefined));
  }

  async #applyAll(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#apply().catch((error: unknown) =>
        reportFailure(this.options.events, 'apply effects', error),
      );
    }
  }

  async #apply(): Promise<void> {
    let applied: number; // until nothing is left: what is applied may end further jobs
    do {
      const [row] = await this.options.session.run(applyEffects, { limit: LIMIT });
      applied = row?.applied ?? 0;
    } while (applied > 0);
  }
}
