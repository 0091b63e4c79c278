import { numberArray, statement } from './statement.js';

/** How one job goes on. */
export interface Rescheduled {
  readonly id: string;
  readonly seq: string;
  /** Milliseconds until it runs again; 0: at once. `null`: never, it has failed. */
  readonly delayMs: number | null;
  /** Whether this spent an attempt. */
  readonly counted: boolean;
  /** JSON text; `null` keeps the last one. */
  readonly error: string | null;
}

export interface RescheduleArgs {
  readonly jobs: readonly Rescheduled[];
  /** Leases that are finished with these jobs. */
  readonly leases: readonly string[];
}

/** A job that was ours. */
export interface RescheduledRow {
  readonly id: string;
}

/**
 * Settles attempts that did not end with an ack: retry, fail, snooze, hand back. Fenced by the token, and a new one is
 * drawn: whoever still runs the old attempt can write nothing more.
 *
 * Queues with something ready are rung, and so is whoever promotes: this worker may stop before the delay is over.
 * A failed job has a `run_count` of at least 1, whatever happened: 0 is the user's way to say "requeue".
 */
export const rescheduleJobs = statement<RescheduleArgs, RescheduledRow>({
  name: 'reschedule_jobs',
  text: ({ jobs, jobsSeq, leases, schema }) => `with ended as materialized (
      select * from unnest($1::bigint[], $2::bigint[], $3::double precision[], $4::boolean[], $5::text[]) as e(id, seq, delay_ms, counted, error)
    ), settled as (
      update ${jobs} as job
         set seq = nextval(${jobsSeq}),
             run_count = case when ended.delay_ms is null then greatest(job.run_count + ended.counted::integer, 1)
                              else job.run_count + ended.counted::integer end,
             last_error = coalesce(ended.error::jsonb, job.last_error),
             run_at = case when ended.delay_ms is null then 'infinity'
                           when ended.delay_ms > 0 then now() + ended.delay_ms * interval '1 millisecond' end,
             ready_at = case when ended.delay_ms > 0 then now() + ended.delay_ms * interval '1 millisecond'
                             when ended.delay_ms = 0 then now() end,
             failed_at = case when ended.delay_ms is null then now() end
        from ended
       where job.id = ended.id and job.seq = ended.seq
      returning job.id, job.queue_name, job.run_at
    ), dropped as (
      delete from ${leases} where id = any ($6::bigint[])
    ), rung as materialized (
      select ${schema}.ring(bell)
        from (select distinct case when run_at is null then queue_name else '' end as bell
                from settled where run_at is null or run_at < 'infinity') as awaited
    )
    select settled.id, (select count(*) from rung) as rung from settled`,
  values: ({ jobs, leases }) => [
    numberArray(jobs.map((job) => job.id)),
    numberArray(jobs.map((job) => job.seq)),
    jobs.map((job) => job.delayMs),
    jobs.map((job) => job.counted),
    jobs.map((job) => job.error),
    numberArray(leases),
  ],
});
