import { numberArray, statement } from './statement.js';

/** Jobs as they were found: each is changed only if nothing has happened to it since. */
export interface TokenArgs {
  readonly ids: readonly string[];
  readonly seqs: readonly string[];
}

/** A job that was changed. */
export interface MendedRow {
  readonly id: string;
  /** Where it waits now. */
  readonly queue_name: string;
}

/** Lets failed jobs run again at once, and scheduled ones without waiting for their time; see the database function. */
export const retryJobs = statement<TokenArgs, MendedRow>({
  name: 'retry_jobs',
  text: ({ jobs, schema }) => `with wanted as materialized (
      select w.id, w.seq from unnest($1::bigint[], $2::bigint[]) as w(id, seq) order by w.id
    ), retried as materialized (
      select wanted.id from wanted where ${schema}.retry(wanted.id, wanted.seq)
    )
    select retried.id::text as id, job.queue_name from retried join ${jobs} as job on job.id = retried.id
     order by retried.id`,
  values: (args) => [numberArray(args.ids), numberArray(args.seqs)],
});

export interface RequeueArgs extends TokenArgs {
  /** JSON text, one a job; `null` leaves it as it is. */
  readonly payloads: readonly (string | null)[];
  /** Not before so many milliseconds from now. */
  readonly delayMs: number;
  /** Another queue; `null`: their own. */
  readonly queue: string | null;
}

/**
 * Lets failed and scheduled jobs begin anew, as setting their `run_count` to 0 does, with another payload or in another queue if so
 * wanted. Their history stays. A job whose unique key another one has taken meanwhile is passed over; in another queue it has none.
 */
export const requeueJobs = statement<RequeueArgs, MendedRow>({
  name: 'requeue_jobs',
  text: ({ jobs, jobsSeq, schema }) => `with wanted as materialized (
      select w.id, w.seq, w.payload from unnest($1::bigint[], $2::bigint[], $3::text[]) as w(id, seq, payload)
    ), free as materialized (
      select job.id, wanted.payload, nextval(${jobsSeq}) as seq
        from wanted
        join ${jobs} as job on job.id = wanted.id and job.seq = wanted.seq
       where (job.failed_at is not null or job.run_at < 'infinity')
         and ($5::text is not null or not ${schema}.key_taken(job))
       order by job.id
         for update of job skip locked
    ), back as (
      update ${jobs} as job
         set seq = free.seq, run_count = 0, crash_count = 0, run_alone = false, failed_at = null,
             run_at = case when $4::double precision > 0 then now() + $4::double precision * interval '1 millisecond' end,
             ready_at = now() + $4::double precision * interval '1 millisecond',
             expires_at = ${schema}.lifted_expiry(job.expires_at, job.failed_at),
             queue_name = coalesce($5::text, job.queue_name), unique_key = case when $5::text is null then job.unique_key end,
             payload = coalesce(free.payload::jsonb, job.payload), meta = ${schema}.ungranted(job.meta)
        from free
       where job.id = free.id
      returning job.id, job.queue_name, job.run_at
    ), rung as materialized (
      select ${schema}.ring(bell)
        from (select distinct case when run_at is null then queue_name else '' end as bell from back) as awaited
    )
    select back.id::text as id, back.queue_name, (select count(*) from rung) as rung from back order by back.id`,
  values: ({ ids, seqs, payloads, delayMs, queue }) => [
    numberArray(ids),
    numberArray(seqs),
    payloads,
    delayMs,
    queue,
  ],
});
