import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import { LeaseLostError } from '../errors.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { listLeases } from '../sql/lease-jobs.js';
import type { Claimer } from './claimer.js';
import type { LeaseBook } from './lease-book.js';
import type { LeaseKeeper } from './lease-keeper.js';

/** Options of a {@link Reconciler}. */
export interface ReconcilerOptions {
  readonly session: Session;
  readonly events: EventHub;
  readonly claimer: Claimer;
  readonly book: LeaseBook;
  readonly keeper: LeaseKeeper;
  readonly giveBack: (leases: readonly string[]) => Promise<void>;
  readonly intervalMs: number;
}

/**
 * Compares what the database thinks this worker runs with what it runs.
 *
 * Leases it does not know come from claims whose reply was lost: without this they would be held for ever by a worker that
 * is alive. They are given back, no attempt counted. Leases that the database does not know have been taken
 * away: their handlers are told.
 */
export class Reconciler implements Service {
  readonly #ticker: Ticker;

  constructor(private readonly options: ReconcilerOptions) {
    this.#ticker = new Ticker({
      intervalMs: options.intervalMs,
      jitter: 0.2,
      tick: () => this.reconcile(),
      onError: (error) => reportFailure(options.events, 'reconcile', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async reconcile(): Promise<void> {
    const { session, keeper, book } = this.options;
    if (keeper.workerId === 0) return;
    const before = book.ids;
    const rows = await session.run(listLeases, { workerId: keeper.workerId });
    await this.#giveBackUnknown(rows.filter((row) => row.settled && !book.has(row.id)).map((row) => row.id));
    const listed = new Set(rows.map((row) => row.id));
    this.#abortLost(new Set(before.filter((id) => !listed.has(id) && book.has(id))));
  }

  async #giveBackUnknown(unknown: readonly string[]): Promise<void> {
    if (unknown.length > 0) await this.options.giveBack(unknown);
  }

  #abortLost(lost: ReadonlySet<string>): void {
    if (lost.size === 0) return;
    for (const pool of this.options.claimer.pools) {
      pool.loseLeases(lost, (claimed) => new LeaseLostError(claimed.queue, claimed.id));
    }
    this.options.book.lost(lost);
  }
}
