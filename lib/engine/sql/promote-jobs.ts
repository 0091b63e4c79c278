import { statement } from './statement.js';

export interface PromoteArgs {
  /** At most this many due jobs; call again while the answer is full. */
  readonly limit: number;
}

export interface PromotedRow {
  readonly queue_name: string;
  readonly count: number;
}

/**
 * Moves due jobs into the ready order and rings their queues.
 *
 * `skip locked`: every process promotes, none waits for another. A promoted job draws a new `seq`, so it lands beyond
 * every lane's head and is claimed like a new one.
 */
export const promoteJobs = statement<PromoteArgs, PromotedRow>({
  name: 'promote_jobs',
  text: ({ jobs, jobsSeq, schema }) => `with due as materialized (
      select id from ${jobs} where run_at <= now() and run_at < 'infinity' order by run_at limit $1::integer for update skip locked
    ), promoted as (
      update ${jobs} as job set run_at = null, ready_at = job.run_at, seq = nextval(${jobsSeq})
        from due where job.id = due.id
      returning job.queue_name
    ), queue as materialized (
      select queue_name, count(*)::integer as count from promoted group by queue_name
    ), rung as materialized (
      select ${schema}.ring(queue_name) from queue
    )
    select queue.queue_name, queue.count, (select count(*) from rung) as rung from queue`,
  values: (args) => [args.limit],
});

/** How long until the next job is due, in milliseconds; below 0 when it is overdue. No row: nothing is scheduled. */
export const nextDue = statement<undefined, { readonly in_ms: number }>({
  name: 'next_due',
  text: ({ jobs }) => `select (extract(epoch from run_at - now()) * 1000)::double precision as in_ms
      from ${jobs} where run_at < 'infinity' order by run_at limit 1`,
  values: () => [],
});
