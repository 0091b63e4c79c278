import { inOrderOfIds } from './job-order.js';
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
  /** It was to run again, after its `expiresAt`: it has failed instead. */
  readonly expired: boolean;
}

/**
 * Settles attempts that did not end with an ack: retry, fail, snooze, hand back. Fenced by the token, and a new one is
 * drawn: whoever still runs the old attempt can write nothing more.
 *
 * Queues with something ready are rung, and so is whoever promotes: this worker may stop before the delay is over.
 * A failed job has a `run_count` of at least 1, whatever happened: 0 is the user's way to say "requeue".
 * A wait that would end after the job's `expires_at` is not begun; one that is merely handed back is judged when its turn comes.
 * Errors of attempts go into the history, with the host and process of the worker; that no attempt was made is none.
 */
export const rescheduleJobs = statement<RescheduleArgs & { readonly workerId: number }, RescheduledRow>({
  name: 'reschedule_jobs',
  text: ({ jobs, jobsSeq, leases, schema, workers }) => `with said as materialized (
      select e.id, e.seq, e.delay_ms, e.counted, e.error::jsonb as error
        from unnest($1::bigint[], $2::bigint[], $3::double precision[], $4::boolean[], $5::text[]) as e(id, seq, delay_ms, counted, error)
    ), ended as materialized (
      select said.id, said.seq, said.counted, said.error, late.expired,
             case when not late.expired then said.delay_ms end as delay_ms,
             said.delay_ms is null and not said.counted and said.error is not null as unmade
        from said
        join ${jobs} as job on job.id = said.id and job.seq = said.seq
       cross join lateral (
         select coalesce((said.counted or said.delay_ms > 0)
                         and job.expires_at < now() + said.delay_ms * interval '1 millisecond', false) as expired) as late
    ), settled as (
      update ${jobs} as job
         set seq = nextval(${jobsSeq}),
             run_count = case when ended.delay_ms is null then greatest(job.run_count + ended.counted::integer, 1)
                              else job.run_count + ended.counted::integer end,
             last_error = case when ended.expired then ${schema}.expired_error(ended.error)
                               when ended.unmade then jsonb_strip_nulls(ended.error || jsonb_build_object('cause', job.last_error))
                               else coalesce(ended.error, job.last_error) end,
             errors = case when ended.error is null or ended.unmade then job.errors
                           else ${schema}.remembered(job.errors, ended.error, job.run_count + 1,
                                  (select concat(worker.host, ':', worker.pid) from ${workers} as worker where worker.id = $7::integer)) end,
             run_at = case when ended.delay_ms is null then 'infinity'
                           when ended.delay_ms > 0 then now() + ended.delay_ms * interval '1 millisecond' end,
             ready_at = case when ended.delay_ms > 0 then now() + ended.delay_ms * interval '1 millisecond'
                             when ended.delay_ms = 0 then now() end,
             failed_at = case when ended.delay_ms is null then now() end
        from ended
       where job.id = ended.id and job.seq = ended.seq
      returning job.id, job.queue_name, job.run_at, ended.expired
    ), dropped as (
      delete from ${leases} where id = any ($6::bigint[])
    ), rung as materialized (
      select ${schema}.ring(bell)
        from (select distinct case when run_at is null then queue_name else '' end as bell
                from settled where run_at is null or run_at < 'infinity') as awaited
    )
    select settled.id, settled.expired, (select count(*) from rung) as rung from settled`,
  values: ({ jobs: ended, leases, workerId }) => {
    const jobs = inOrderOfIds(ended);
    return [
      numberArray(jobs.map((job) => job.id)),
      numberArray(jobs.map((job) => job.seq)),
      jobs.map((job) => job.delayMs),
      jobs.map((job) => job.counted),
      jobs.map((job) => job.error),
      numberArray(leases),
      workerId,
    ];
  },
});
