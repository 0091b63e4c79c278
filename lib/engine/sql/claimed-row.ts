/**
 * One job as a claim, a sweep or a claim of a single job hands it out: the text of each column, as the server sent it. Rows as arrays of
 * text are the cheapest shape on both sides: one JSON array for the whole batch cost the server 5 us a job more and the client no less
 * (PostgreSQL 18.4, 2 vCPU, 2026-11-24), and a batch of large payloads could exceed the gigabyte that a value may have.
 */
export type ClaimedJobRow = readonly [
  leaseId: string,
  queue: string,
  priority: string,
  id: string,
  seq: string,
  runCount: string,
  crashCount: string,
  maxAttempts: string | null,
  /** Milliseconds since 1970. */
  createdMs: string,
  /** Milliseconds since 1970; null: since it was created. */
  readyMs: string | null,
  group: string | null,
  meta: string | null,
  payload: string,
  summary: null,
];

/** The last row has no job: JSON of what the statement has to say besides. */
export type SummaryRow = readonly [leaseId: null, ...others: null[], summary: string];

export type ClaimedRow = ClaimedJobRow | SummaryRow;

/** The columns of jobs in the order of a {@link ClaimedRow}. */
export const CLAIMED_COLUMNS = `job.queue_name, job.priority, job.id, job.seq, job.run_count, job.crash_count, job.max_attempts,
                date_part('epoch', job.created_at) * 1000 as created_ms, date_part('epoch', job.ready_at) * 1000 as ready_ms,
                job.group_key, job.meta, job.payload`;

/** The summary among the rows of a statement; `undefined` when it has none. */
export function summaryOf<Summary>(rows: readonly ClaimedRow[]): Summary | undefined {
  const row = rows.at(-1);
  return row?.[0] === null ? (JSON.parse(row.at(-1) as string) as Summary) : undefined;
}
