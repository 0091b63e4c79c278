import type pg from 'pg';
import { checkOut, type ClientSource } from '../connection/pool.js';
import { inTransaction, type TransactionScope } from '../connection/transaction.js';
import { LeaseLostError } from '../errors.js';
import type { ClaimedJob } from '../job/job.js';
import type { Outcome } from '../job/outcome-of.js';
import type { Tables } from '../sql/tables.js';
import { ackLockedJob, lockJob } from '../sql/transact-job.js';

/** Thrown inside a transactional handler to roll back although the handler returned: it did not return an ack. */
export class RolledBack extends Error {
  constructor(readonly outcome: Outcome) {
    super('rolled back');
  }
}

/** A job that is acked by a transaction of its handler. */
export interface TransactedJob {
  readonly claimed: ClaimedJob;
  /** Milliseconds; 0: not kept; `Infinity`: for ever. */
  readonly keepMs: number;
}

/** Transactions in which a handler's writes and the ack of its job commit together: effects exactly once. */
export class JobTransactions {
  constructor(
    private readonly pool: ClientSource,
    private readonly tables: Tables,
    private readonly scope: TransactionScope,
  ) {}

  /**
   * Locks the job, runs `work` with `enqueue` joined to the transaction, acks and commits.
   *
   * @param textOf JSON text of the job's result, in what `work` has answered
   * @param cut cuts `work` off: its connection is thrown away, and nothing is committed. Without effect once `work` has resolved
   * @throws LeaseLostError when the job does not belong to this attempt any more; everything is rolled back
   */
  async run<T>(
    { claimed, keepMs }: TransactedJob,
    work: (tx: pg.PoolClient) => Promise<T>,
    textOf: (answer: T) => string | null | Promise<string | null>,
    cut: AbortSignal,
  ): Promise<T> {
    return this.within(async (client) => {
      await this.#lock(client, claimed);
      const result = await work(client);
      const text = keepMs === 0 ? null : await textOf(result);
      if (!cut.aborted) await this.#ack(client, { claimed, keepMs }, text);
      return result;
    }, cut);
  }

  /** Runs `work` in a transaction that `enqueue` joins, and commits. Cut off as by {@link run}. */
  async within<T>(work: (tx: pg.PoolClient) => Promise<T>, cut: AbortSignal): Promise<T> {
    let backend: number | undefined;
    try {
      return await inTransaction(
        this.pool,
        (client) => {
          backend = (client as unknown as { processID: number }).processID;
          return this.scope.run(client, () => work(client));
        },
        cut,
      );
    } catch (error) {
      if (cut.aborted && backend !== undefined) await this.#end(backend);
      throw error;
    }
  }

  async #lock(client: pg.PoolClient, claimed: ClaimedJob): Promise<void> {
    const { rows } = await client.query(lockJob.text(this.tables), lockJob.values(claimed));
    if (rows.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
  }

  async #ack(
    client: pg.PoolClient,
    { claimed, keepMs }: TransactedJob,
    result: string | null,
  ): Promise<void> {
    const { rows } = await client.query(
      ackLockedJob.text(this.tables),
      ackLockedJob.values({
        id: claimed.id,
        seq: claimed.seq,
        result,
        keepMs: keepMs === Infinity ? null : keepMs,
      }),
    );
    if (rows.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
  }

  /**
   * A backend that is busy does not notice that its client has gone, and would hold the job's lock, in the way of the
   * settlement. Behind a pooler the id is not the server's and this does nothing.
   */
  async #end(backend: number): Promise<void> {
    try {
      const { client, release } = await checkOut(this.pool);
      await client.query('select pg_terminate_backend($1)', [backend]).finally(() => release());
    } catch {
      // the settlement waits for the lock, then
    }
  }
}
