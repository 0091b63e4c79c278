import type pg from 'pg';
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

/** Transactions in which a handler's writes and the ack of its job commit together: effects exactly once. */
export class JobTransactions {
  constructor(
    private readonly pool: pg.Pool,
    private readonly tables: Tables,
    private readonly scope: TransactionScope,
  ) {}

  /**
   * Locks the job, runs `work` with `enqueue` joined to the transaction, acks and commits.
   *
   * @throws LeaseLostError when the job does not belong to this attempt any more; everything is rolled back
   */
  run<T>(claimed: ClaimedJob, work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    return inTransaction(this.pool, async (client) => {
      const { rows: held } = await client.query(lockJob.text(this.tables), lockJob.values(claimed));
      if (held.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
      const result = await this.scope.run(client, () => work(client));
      const { rows: acked } = await client.query(ackLockedJob.text(this.tables), ackLockedJob.values(claimed));
      if (acked.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
      return result;
    });
  }
}
