import { statement } from './statement.js';

export interface FailureGroupsArgs {
  /** `null`: of all queues. */
  readonly queue: string | null;
  readonly since: Date | null;
  /** So many failed jobs are looked at, the newest. */
  readonly window: number;
  readonly limit: number;
}

/** A group as JSON text of a {@link FailureGroupJson}. */
export interface FailureGroupRow {
  readonly failures: string;
}

/** Times in ISO 8601. */
export interface FailureGroupJson {
  readonly fingerprint: string;
  readonly name: string | null;
  readonly code: string | null;
  readonly pattern: string | null;
  readonly message: string | null;
  readonly frame: string | null;
  readonly count: number;
  readonly queues: readonly string[];
  readonly firstAt: string;
  readonly lastAt: string;
  readonly lastJobId: string;
  /** Failures of the last 24 hours, by hour: 0 is the one that goes on. */
  readonly hours: readonly number[];
}

/** Failed jobs, by what their errors have in common. */
export const failureGroups = statement<FailureGroupsArgs, FailureGroupRow>({
  name: 'failure_groups',
  text: ({ jobs, schema }) => `with failed as materialized (
      select job.id, job.queue_name, job.failed_at, job.last_error, ${schema}.error_fingerprint(job.last_error) as fingerprint
        from ${jobs} as job
       where job.failed_at is not null and job.last_error is not null
         and ($1::text is null or job.queue_name = $1::text) and ($2::timestamptz is null or job.failed_at > $2::timestamptz)
       order by job.failed_at desc
       limit $3::integer
    ), grouped as (
      select fingerprint, count(*) as count, min(failed_at) as first_at, max(failed_at) as last_at, max(id) as last_id,
             array_agg(distinct queue_name) as queues
        from failed where fingerprint is not null
       group by fingerprint
       order by count(*) desc, max(failed_at) desc
       limit $4::integer
    )
    select json_build_object('fingerprint', g.fingerprint, 'name', e ->> 'name', 'code', e ->> 'code', 'message', left(e ->> 'message', 1000),
             'pattern', ${schema}.error_pattern(e ->> 'message'), 'frame', ${schema}.error_frame(e ->> 'stack'),
             'count', g.count, 'queues', g.queues, 'firstAt', g.first_at, 'lastAt', g.last_at, 'lastJobId', g.last_id::text,
             'hours', array(select count(*) filter (where f.failed_at > now() - (ago + 1) * interval '1 hour' and f.failed_at <= now() - ago * interval '1 hour')
                              from generate_series(0, 23) as ago left join failed as f on f.fingerprint = g.fingerprint group by ago order by ago))::text as failures
      from grouped as g
     cross join lateral (select last.last_error from failed as last where last.id = g.last_id) as newest(e)
     order by g.count desc, g.last_at desc`,
  values: (args) => [args.queue, args.since, args.window, args.limit],
});
