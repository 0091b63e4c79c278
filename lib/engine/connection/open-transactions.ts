import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import type { Transaction } from './executor.js';

/** A client that was asked for in some asynchronous context. */
interface Taken {
  /** While it is out. */
  client: pg.PoolClient | undefined;
  /** It was given back, or never came. */
  over: boolean;
  readonly before: Taken | undefined;
}

/**
 * Transactions that the code now running has opened by hand, on clients of a pool of ours, as far as that can be known: a client counts for the
 * function that took it and what that calls, and for what was begun beside it in the same tick. Good enough for a hint, and for
 * nothing else.
 */
export class OpenTransactions {
  readonly #current = new AsyncLocalStorage<Taken | undefined>();
  readonly #out = new WeakMap<pg.PoolClient, Taken>();

  /** From now on notes who takes clients from this pool. */
  watch(pool: pg.Pool): void {
    const connect = pool.connect.bind(pool) as (callback?: unknown) => Promise<pg.PoolClient>;
    const watched = (callback?: unknown) =>
      callback === undefined ? this.#taking(connect()) : connect(callback);
    pool.connect = watched as pg.Pool['connect'];
    pool.on('release', (_error: Error | undefined, client: pg.PoolClient) => end(this.#out.get(client)));
  }

  /** Whether some client that was taken here is in a transaction. */
  get any(): boolean {
    for (let taken = this.#current.getStore(); taken !== undefined; taken = taken.before)
      if (taken.client !== undefined && isInTransaction(taken.client)) return true;
    return false;
  }

  async #noted(taken: Taken, connecting: Promise<pg.PoolClient>): Promise<pg.PoolClient> {
    try {
      taken.client = await connecting;
      this.#out.set(taken.client, taken);
      return taken.client;
    } catch (error) {
      end(taken);
      throw error;
    }
  }

  #taking(connecting: Promise<pg.PoolClient>): Promise<pg.PoolClient> {
    let before = this.#current.getStore();
    while (before?.over === true) before = before.before;
    const taken: Taken = { client: undefined, over: false, before };
    this.#current.enterWith(taken);
    return this.#noted(taken, connecting);
  }
}

/** Whether a client of `pg` that was given as `tx` has no transaction open: what it writes is committed at once. */
export function hasNoTransaction(tx: Transaction): boolean {
  return statusOf(tx) === 'I';
}

function end(taken: Taken | undefined): void {
  if (taken === undefined) return;
  taken.client = undefined;
  taken.over = true;
}

function isInTransaction(client: pg.PoolClient): boolean {
  const status = statusOf(client);
  return status === 'T' || status === 'E';
}

/** As the server has last said: `I` idle, `T` in a transaction, `E` in one that has failed. */
function statusOf(client: object): unknown {
  const { getTransactionStatus } = client as { getTransactionStatus?: () => unknown };
  return typeof getTransactionStatus === 'function' ? getTransactionStatus.call(client) : undefined;
}
