import { numberArray, statement } from './statement.js';
import type { MendedRow } from './retry-jobs.js';

export interface RedriveArgs {
  readonly ids: readonly string[];
  /** JSON text, one a job; `null` leaves it as it is. */
  readonly payloads: readonly (string | null)[];
}

/** A dead letter that has become a job of its source queue again. */
export interface RedrivenRow extends MendedRow {
  readonly new_id: string;
}

/**
 * Moves dead letters that nobody runs back to where they come from, each once. A database function (see the migration), because it must
 * hold their lanes before it looks at the leases.
 */
export const redriveJobs = statement<RedriveArgs, RedrivenRow>({
  name: 'redrive_jobs',
  text: ({ schema }) => `select job.id::text as id, job.new_id::text as new_id, job.queue as queue_name
      from ${schema}.redrive($1::bigint[], $2::text[]::jsonb[]) as job
     order by job.id`,
  values: ({ ids, payloads }) => [numberArray(ids), payloads],
});

/** Deletes a job that does not run. */
export const removeJob = statement<{ readonly id: string }, { readonly removed: boolean }>({
  name: 'remove_job',
  text: ({ schema }) => `select ${schema}.remove($1::bigint) as removed`,
  values: (args) => [args.id],
});
