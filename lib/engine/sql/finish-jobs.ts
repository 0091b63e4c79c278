import { inOrderOfIds } from './job-order.js';
import { numberArray, statement } from './statement.js';
import type { Tables } from './tables.js';

/** How one attempt ended a job. */
export interface FinishedJob {
  readonly id: string;
  readonly seq: string;
  /** JSON text; `null`: none. */
  readonly result: string | null;
  /** Milliseconds; 0: not kept; `null`: for ever. */
  readonly keepMs: number | null;
}

export interface FinishArgs {
  readonly state: 'completed' | 'cancelled';
  readonly jobs: readonly FinishedJob[];
  /** Leases that are finished with these jobs. */
  readonly leases: readonly string[];
}

/** A job that was ours. */
export interface FinishedRow {
  readonly id: string;
}

/** Keeps the jobs in `gone`, which has their columns, `result` and `keep_ms`, where they are to be kept. */
export function keptParts({ finished }: Tables, state: string): string {
  return `kept as (
      insert into ${finished} (id, queue_name, state, run_count, priority, group_key, batch_id, created_at, expires_at, payload, result, error, progress, logs, meta)
      select id, queue_name, ${state}, run_count + 1, priority, group_key, batch_id, created_at,
             coalesce(now() + keep_ms * interval '1 millisecond', 'infinity'), payload, result::jsonb,
             case when ${state} = 'cancelled' then coalesce(last_error, '{"name": "Cancelled", "code": "TM_CANCELLED", "message": "cancelled while it ran"}') end,
             progress, logs, meta
        from gone where keep_ms is null or keep_ms > 0
    )`;
}

/**
 * Ends jobs as `ack_jobs` does, and keeps what is to be kept: those of queues with retention, those whose result somebody
 * wants, and those that were cancelled while they ran.
 */
export const finishJobs = statement<FinishArgs, FinishedRow>({
  name: 'finish_jobs',
  text: (tables) => `with ended as materialized (
      select * from unnest($2::bigint[], $3::bigint[], $4::text[], $5::double precision[]) as e(id, seq, result, keep_ms)
    ), gone as (
      delete from ${tables.jobs} as job using ended where job.id = ended.id and job.seq = ended.seq
      returning job.*, ended.result, ended.keep_ms
    ), ${keptParts(tables, '$1::text')}, dropped as (
      delete from ${tables.leases} where id = any ($6::bigint[])
    )
    select gone.id, set_config('taskmaster.outcome', $1::text, true) as outcome from gone`,
  values: ({ state, jobs: ended, leases }) => {
    const jobs = inOrderOfIds(ended);
    return [
      state,
      numberArray(jobs.map((job) => job.id)),
      numberArray(jobs.map((job) => job.seq)),
      jobs.map((job) => job.result),
      jobs.map((job) => job.keepMs),
      numberArray(leases),
    ];
  },
});

/** Which jobs of a worker somebody has cancelled. */
export const cancelledJobs = statement<{ readonly workerId: number }, { readonly id: string }>({
  name: 'cancelled_jobs',
  text: ({ jobs, leases }) => `select job.id
      from ${leases} as lease
     cross join lateral unnest(lease.seqs, lease.ids) as leased(seq, id)
      join ${jobs} as job on job.id = leased.id and job.seq = leased.seq
     where lease.worker_id = $1::integer and job.flags & 4 <> 0`,
  values: (args) => [args.workerId],
});
