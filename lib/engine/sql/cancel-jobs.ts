import type { CountRow, FindArgs, FoundRow } from './find-jobs.js';
import { COUNTED_IDS, matching, matchValues } from './find-jobs.js';
import type { CountedState } from './read-queues.js';
import { numberArray, statement } from './statement.js';
import type { Tables } from './tables.js';

/** Jobs that have not ended, or have failed, in some of these states. */
export interface FindLiveArgs extends FindArgs {
  readonly states: readonly CountedState[];
}

const part = (tables: Tables) => `select job.id::text as id, job.seq::text as seq
      from ${tables.jobs} as job
     where ${matching(tables)}
       and job.id > $19::bigint and job.id <= $20::bigint
       and case when job.failed_at is not null then 'failed'
                when job.run_at = 'infinity' then 'blocked'
                when job.run_at is not null then 'scheduled'
                when exists (select from ${tables.leases} as lease
                              where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)) then 'running'
                else 'ready' end = any ($22::text[])
     order by job.id
     limit $21::bigint`;

function findValues(args: FindLiveArgs): unknown[] {
  return [...matchValues(args), args.after, args.until, args.limit, args.states];
}

export const findLiveJobs = statement<FindLiveArgs, FoundRow>({
  name: 'find_live_jobs',
  text: part,
  values: findValues,
});

export const countLiveJobs = statement<FindLiveArgs, CountRow>({
  name: 'count_live_jobs',
  text: (tables) => `with found as materialized (
      ${part(tables)}
    )
    select (select count(*) from found) as count,
           array(select found.id from found order by found.id::bigint limit ${COUNTED_IDS}) as ids`,
  values: findValues,
});

interface IdsArgs {
  readonly ids: readonly string[];
}

/** What has become of a job that was to be cancelled. */
export interface CancelledRow {
  readonly id: string;
  /** `aborting`: it runs, and has been told; `none`: it had ended. */
  readonly outcome: 'cancelled' | 'aborting' | 'none';
}

/** Cancels jobs, whoever has them. A database function (see the migration), because it must hold their lanes first. */
export const cancelJobs = statement<IdsArgs, CancelledRow>({
  name: 'cancel_jobs',
  text: ({ schema }) =>
    `select job.id::text as id, job.outcome from ${schema}.cancel_jobs($1::bigint[]) as job`,
  values: ({ ids }) => [numberArray(ids)],
});

/** Deletes those that nobody runs. */
export const removeJobs = statement<IdsArgs, { readonly id: string }>({
  name: 'remove_jobs',
  text: ({ schema }) =>
    `select job.id::text as id from ${schema}.remove_jobs($1::bigint[]) as job order by job.id`,
  values: ({ ids }) => [numberArray(ids)],
});
