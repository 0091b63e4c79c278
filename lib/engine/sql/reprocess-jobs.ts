import type { CountRow, FindArgs, FoundRow } from './find-jobs.js';
import { COUNTED_IDS, matching, matchValues } from './find-jobs.js';
import type { MendedRow } from './retry-jobs.js';
import { numberArray, statement } from './statement.js';
import type { Tables } from './tables.js';

/** Jobs that have ended and are kept. `failedAfter` and `failedBefore` are about when they ended. */
export interface FindKeptArgs extends FindArgs {
  readonly states: readonly string[] | null;
  /** Also those that have been enqueued again already, and those that were enqueued so. */
  readonly again: boolean;
}

const part = (tables: Tables) => `select job.id::text as id, '0' as seq
      from ${tables.schema}.finished_jobs as job
     where ${matching(tables, { error: 'job.error', failedAt: 'job.finished_at', uniqueKey: 'null::text' })}
       and job.id > $19::bigint and job.id <= $20::bigint
       and ($22::text[] is null or job.state = any ($22::text[]))
       and ($23::boolean or job.reprocessed_at is null and not coalesce(job.meta ? 'reprocessed', false))
     order by job.id
     limit $21::bigint`;

function findValues(args: FindKeptArgs): unknown[] {
  return [...matchValues(args), args.after, args.until, args.limit, args.states, args.again];
}

export const findKeptJobs = statement<FindKeptArgs, FoundRow>({
  name: 'find_kept_jobs',
  text: part,
  values: findValues,
});

export const countKeptJobs = statement<FindKeptArgs, CountRow>({
  name: 'count_kept_jobs',
  text: (tables) => `with found as materialized (
      ${part(tables)}
    )
    select (select count(*) from found) as count,
           array(select found.id from found order by found.id::bigint limit ${COUNTED_IDS}) as ids`,
  values: findValues,
});

/** The highest id of those that are kept. */
export const newestKeptJob = statement<undefined, { readonly id: string | null }>({
  name: 'newest_kept_job',
  text: ({ finished }) => `select max(id)::text as id from ${finished}`,
  values: () => [],
});

export interface ReprocessArgs {
  readonly ids: readonly string[];
  /** JSON text, one a job; `null` leaves it as it is. */
  readonly payloads: readonly (string | null)[];
  readonly again: boolean;
}

/** A kept job that was enqueued again. */
export interface ReprocessedRow extends MendedRow {
  readonly new_id: string;
}

/** Enqueues kept jobs again, as new jobs; each once, unless `again`. See the database function. */
export const reprocessJobs = statement<ReprocessArgs, ReprocessedRow>({
  name: 'reprocess_jobs',
  text: ({ schema }) => `select job.id::text as id, job.new_id::text as new_id, job.queue as queue_name
      from ${schema}.reprocess($1::bigint[], $2::text[]::jsonb[], $3::boolean) as job
     order by job.new_id`,
  values: ({ ids, payloads, again }) => [numberArray(ids), payloads, again],
});
