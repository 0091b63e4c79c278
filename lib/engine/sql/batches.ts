import { statement } from './statement.js';

export interface OpenBatchArgs {
  /** JSON text: what is enqueued at the end, by `finished`, `succeeded` and `failed`, as `enqueue_jobs` takes it. */
  readonly callbacks: string;
}

/** Begins a batch. One scalar parameter, so that any driver and ORM can bind it. */
export const openBatch = statement<OpenBatchArgs, { readonly id: string }>({
  name: 'open_batch',
  text: ({ schema }) => `select ${schema}.open_batch($1::jsonb)::text as id`,
  values: (args) => [args.callbacks],
});

/** Closes a batch; `closed`: false when it was, or there is none. The id goes as text, which every driver can bind. */
export const closeBatch = statement<{ readonly id: string }, { readonly closed: boolean }>({
  name: 'close_batch',
  text: ({ schema }) => `select ${schema}.close_batch($1::text::bigint) as closed`,
  values: (args) => [args.id],
});

export interface BatchRow {
  readonly id: string;
  readonly created_at: Date;
  readonly finished_at: Date | null;
  readonly closed: boolean;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** One batch, as it is counted. */
export const readBatch = statement<{ readonly id: string }, BatchRow>({
  name: 'read_batch',
  text: ({
    batches,
  }) => `select id::text as id, created_at, finished_at, closed, total, completed, failed, cancelled
      from ${batches} where id = $1::bigint`,
  values: (args) => [args.id],
});
