import { statement } from './statement.js';
import { waitsAlone } from './sweep-jobs.js';

export interface RescueArgs {
  /** At most this many leases; call again while the answer is full. */
  readonly limit: number;
  /** A job that has lost its worker this many times fails. */
  readonly maxCrashes: number;
}

/** A job that was running on a dead worker. */
export interface RescuedRow {
  readonly id: string;
  readonly queue_name: string;
  /** Attempts that have ended, the lost one included. */
  readonly run_count: number;
  readonly failed: boolean;
}

/**
 * Declares silent workers dead and gives their jobs back: new tokens, the lost attempt counted.
 *
 * A worker's row goes first, so that a worker that wakes up learns of it from its next heartbeat; leases without a worker
 * are what is rescued. Jobs locked at this moment, by a transactional handler that may be about to commit, keep their
 * lease until the next pass. The last chance before `maxCrashes` is taken alone, so that a job that kills its process
 * cannot take its neighbours with it. Attempts of queues whose rules for errors allow more are counted against what the queue
 * says (`queues.options`): a lost one has thrown nothing.
 */
export const rescueJobs = statement<RescueArgs, RescuedRow>({
  name: 'rescue_jobs',
  text: ({ jobs, jobsSeq, leases, queues, schema, workers }) => `with dead as (
      delete from ${workers} where id = any (array(
        select id from ${workers} where expires_at < now() order by id limit 100 for update skip locked))
      returning id, host, pid
    ), doomed as materialized (
      select lease.id, lease.seqs, lease.ids, lease.worker_id
        from ${leases} as lease
       where lease.worker_id in (select id from dead)
          or not exists (select from ${workers} as worker where worker.id = lease.worker_id)
       order by lease.id
       limit $1::integer
         for update of lease skip locked
    ), held as materialized (
      select job.id, job.seq, doomed.id as lease_id, doomed.worker_id
        from doomed
       cross join lateral unnest(doomed.seqs, doomed.ids) as leased(seq, id)
        join ${jobs} as job on job.id = leased.id and job.seq = leased.seq and job.run_at is null
    ), free as materialized (
      select job.id, job.seq, held.worker_id from held
        join ${jobs} as job on job.id = held.id and job.seq = held.seq
         for update of job skip locked
    ), judged as materialized (
      select free.id, free.seq, (select concat(dead.host, ':', dead.pid) from dead where dead.id = free.worker_id) as worker,
             job.crash_count + 1 >= $2::integer
               or job.run_count + 1 >= coalesce(job.max_attempts, ${schema}.count_in(queue.options, 'maxAttempts')) is true as failed
        from free
        join ${jobs} as job on job.id = free.id and job.seq = free.seq
        left join ${queues} as queue on queue.name = job.queue_name
    ), saved as (
      update ${jobs} as job
         set seq = nextval(${jobsSeq}), run_count = job.run_count + 1, crash_count = job.crash_count + 1,
             run_alone = job.crash_count + 2 >= $2::integer, ready_at = now(),
             last_error = ${schema}.lost_error(),
             errors = ${schema}.remembered(job.errors, ${schema}.lost_error(), job.run_count + 1, judged.worker),
             run_at = case when judged.failed then 'infinity'::timestamptz end,
             failed_at = case when judged.failed then now() end
        from judged
       where job.id = judged.id and job.seq = judged.seq
      returning job.id, job.queue_name, job.run_count, job.failed_at
    ), dropped as (
      delete from ${leases} as lease using doomed
       where lease.id = doomed.id
         and not exists (select from held where held.lease_id = doomed.id and not exists (select from free where free.id = held.id))
    ), rung as materialized (
      select ${schema}.ring(queue_name) from (select distinct queue_name from saved where failed_at is null) as ready
    )
    select saved.id, saved.queue_name, saved.run_count, saved.failed_at is not null as failed, (select count(*) from rung) as rung
      from saved`,
  values: (args) => [args.limit, args.maxCrashes],
});

export interface ServerConditionRow {
  /** How full the server's NOTIFY queue is, 0 to 1. Asking also heals one that has run full and been emptied. */
  readonly usage: number;
  /** The server's clock, in milliseconds. */
  readonly now_ms: number;
  /** Leases wait to be rescued, or workers to be declared dead. */
  readonly abandoned: boolean;
  /** Jobs on their last chance wait in some of the queues that were asked for. */
  readonly alone: boolean;
}

/** What is to be known of the server before its word is taken on who is dead. */
export const serverCondition = statement<{ readonly queues: readonly string[] }, ServerConditionRow>({
  name: 'server_condition',
  text: (tables) => `select pg_notification_queue_usage() as usage,
           (extract(epoch from clock_timestamp()) * 1000)::double precision as now_ms,
           exists (select from ${tables.workers} where expires_at < now())
             or exists (select from ${tables.leases} as lease
                         where not exists (select from ${tables.workers} as worker where worker.id = lease.worker_id)) as abandoned,
           ${waitsAlone(tables, '$1')} as alone`,
  values: (args) => [args.queues],
});
