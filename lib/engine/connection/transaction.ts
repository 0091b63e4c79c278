import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { TransactionAbortedError } from '../errors.js';
import type { Transaction } from './executor.js';

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
 * not even roll back is not given back.
 *
 * @throws TransactionAbortedError when a statement had failed and `work` resolved all the same: PostgreSQL answers such a
 *   COMMIT with a rollback and no error
 */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    const { command } = await client.query('commit');
    if (command !== 'COMMIT') throw new TransactionAbortedError();
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => (broken = failure));
    throw error;
  } finally {
    client.release(broken);
  }
}
