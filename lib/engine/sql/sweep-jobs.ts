import { type ClaimArgs, closedQueue } from './claim-jobs.js';
import { numberArray, statement } from './statement.js';
import type { Tables } from './tables.js';

export interface SweepArgs extends ClaimArgs {
  /** Search from the beginning of each lane instead of from the point that is known to be clean. */
  readonly deep: boolean;
}

/** A row a lease; then one row with `lease_id` null whose `unclean` counts the lanes still to be swept. */
export interface SweepRow {
  readonly lease_id: string | null;
  readonly queue_name: string | null;
  readonly priority: number | null;
  readonly jobs: string | null;
  readonly unclean: number;
}

/**
 * Takes jobs that claims cannot see: those that committed behind a lane's head, and those of new priorities. A database
 * function (see the migration), because its search needs a snapshot younger than the lane's lock.
 */
export const sweepJobs = statement<SweepArgs, SweepRow>({
  name: 'sweep_jobs',
  text: ({ schema }) => `select lease as lease_id, queue as queue_name, lane as priority, jobs,
           case when lease is null then lane else 0 end as unclean, set_config('synchronous_commit', 'off', true) as relaxed
      from ${schema}.sweep($1::integer, $2::text[], $3::integer[], $4::boolean)`,
  values: (args) => [args.workerId, args.queues, numberArray(args.limits), args.deep],
});

export interface ClaimAloneArgs {
  readonly workerId: number;
  readonly queues: readonly string[];
}

/** One job on its last chance after crashes, for a worker that runs nothing else. */
export const claimAlone = statement<ClaimAloneArgs, Omit<SweepRow, 'unclean'>>({
  name: 'claim_alone',
  text: ({ schema }) => `select lease as lease_id, queue as queue_name, lane as priority, jobs
      from ${schema}.claim_alone($1::integer, $2::text[])`,
  values: (args) => [args.workerId, args.queues],
});

/** True when jobs on their last chance wait in some of these queues, that nobody runs yet and that may run. */
export function waitsAlone(tables: Tables, queues: string): string {
  return `exists (
      select from ${tables.jobs} as job
       where job.run_at is null and job.run_alone and job.queue_name = any (${queues}::text[])
         and not exists (select from ${tables.leases} as lease
                          where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs))
         and not ${closedQueue(tables, 'job.queue_name')})`;
}

/** Whether jobs on their last chance wait, see {@link waitsAlone}. */
export const aloneWaiting = statement<{ readonly queues: readonly string[] }, { readonly waiting: boolean }>({
  name: 'alone_waiting',
  text: (tables) => `select ${waitsAlone(tables, '$1')} as waiting`,
  values: (args) => [args.queues],
});

/** Opens the lanes of priority 0 of the queues this worker serves; others are opened when a sweep finds them. */
export const openLanes = statement<{ readonly queues: readonly string[] }, never>({
  name: 'open_lanes',
  text: ({ lanes }) => `insert into ${lanes} (queue_name, priority)
    select distinct queue_name, 0::smallint from unnest($1::text[]) as wanted(queue_name)
     where not exists (select from ${lanes} as lane where lane.queue_name = wanted.queue_name and lane.priority = 0)
    on conflict do nothing`,
  values: (args) => [args.queues],
});
