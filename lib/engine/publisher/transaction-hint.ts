import type { Transaction } from '../connection/executor.js';
import { hasNoTransaction, type OpenTransactions } from '../connection/open-transactions.js';
import type { EventHub } from '../events.js';

/** So many queues are hinted at; more than that and it is no news. */
const MOST = 100;

/** In development, says once a queue that its jobs are enqueued beside a transaction that seems meant for them. */
export class TransactionHint {
  readonly #said = new Set<string>();

  constructor(
    private readonly open: OpenTransactions,
    private readonly events: EventHub,
  ) {}

  /** @param tx what the job is stored through; `undefined`: a transaction of its own */
  look(queue: string, tx: Transaction | undefined): void {
    const message = this.#problem(queue, tx);
    if (message === undefined || this.#said.has(queue) || this.#said.size >= MOST) return;
    this.#said.add(queue);
    this.events.emit({ type: 'engineWarning', message });
  }

  #problem(queue: string, tx: Transaction | undefined): string | undefined {
    if (tx === undefined)
      return this.open.any
        ? `a job of queue "${queue}" was enqueued outside the transaction that is open here: it stays when that is rolled back. ` +
            'Pass "tx", or use publisher.withTransaction(). (warnOutsideTransaction: false turns this off.)'
        : undefined;
    return hasNoTransaction(tx)
      ? `a job of queue "${queue}" was enqueued through a client that is in no transaction: it is committed at once. ` +
          'Begin one first, or leave "tx" out. (warnOutsideTransaction: false turns this off.)'
      : undefined;
  }
}
