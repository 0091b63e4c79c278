import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { TransactionAbortedError } from '../errors.js';
import { Deferred } from '../lifecycle/deferred.js';
import type { Transaction } from './executor.js';
import { isReadOnly } from './pg-errors.js';
import { checkOut, type ClientSource } from './pool.js';

/**
 * The transaction that the code now running is in, if it is in one: `publisher.withTransaction`, a transactional handler,
 * `job.transaction`, or what the application's own `transaction` option answers.
 */
export class TransactionScope {
  readonly #current = new AsyncLocalStorage<Transaction>();

  constructor(private readonly ambient: (() => Transaction | undefined) | undefined) {}

  get current(): Transaction | undefined {
    return this.#current.getStore() ?? this.ambient?.();
  }

  run<T>(tx: Transaction, work: () => T): T {
    return this.#current.run(tx, work);
  }
}

/**
 * Runs `work` in a transaction on a client of the pool: commits when it resolves, rolls back when it throws. A client that could
 * not even roll back, or leads to a server that cannot write, is not given back, and one whose `work` was cut off by the signal is
 * thrown away with whatever it is doing.
 *
 * @throws TransactionAbortedError when a statement had failed and `work` resolved all the same: PostgreSQL answers such a
 *   COMMIT with a rollback and no error
 */
export async function inTransaction<T>(
  pool: ClientSource,
  work: (client: pg.PoolClient) => Promise<T>,
  signal: AbortSignal = NEVER,
): Promise<T> {
  const { client, release } = await checkOut(pool);
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await unlessAborted(signal, work(client));
    const { command } = await client.query('commit');
    if (command !== 'COMMIT') throw new TransactionAbortedError();
    return result;
  } catch (error) {
    if (signal.aborted || isReadOnly(error)) broken = error as Error;
    else await client.query('rollback').catch((failure: Error) => (broken = failure));
    throw error;
  } finally {
    release(broken);
  }
}

const NEVER = new AbortController().signal;

/** What `work` resolves with, or the reason of the signal, whichever comes first. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Deferred<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
