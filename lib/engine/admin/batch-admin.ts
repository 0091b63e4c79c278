import type { StatementPool } from '../connection/statement-pool.js';
import { checkBatchId } from '../option-checks.js';
import { type BatchRow, readBatch } from '../sql/batches.js';

/** What has become of the jobs of a batch. Ends are counted a moment after they happen. */
export interface BatchRecord {
  readonly id: string;
  readonly createdAt: Date;
  /** When the last job had ended and its callbacks were enqueued; kept for a week after that. */
  readonly finishedAt: Date | undefined;
  /** No job can be added from outside any more. */
  readonly closed: boolean;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** Batches: to look at. */
export class BatchAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** `undefined` when there is none of this id. */
  async get(batch: string | { readonly id: string }): Promise<BatchRecord | undefined> {
    const id = checkBatchId('batches.get', batch);
    const [row] = await this.options.statements.run('batches.get', readBatch, { id });
    return row === undefined ? undefined : recordOf(row);
  }
}

function recordOf({ created_at: createdAt, finished_at: finishedAt, ...row }: BatchRow): BatchRecord {
  return { ...row, createdAt, finishedAt: finishedAt ?? undefined };
}
