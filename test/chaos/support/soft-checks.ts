import { lifeOf } from './checks.js';
import type { History } from './history.js';

/** How long jobs of dead workers waited to be given back, in milliseconds. */
export interface Recoveries {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Runs of jobs that had run before, by what explains them. */
export interface Reruns {
  readonly runs: number;
  /** The handler had thrown, as it was told to. */
  readonly retries: number;
  /** The run before was cut short by a fault, or its settlement was lost in one. */
  readonly explained: number;
  readonly unexplained: number;
  /** Runs of one job at the same time. */
  readonly overlaps: number;
  readonly unexplainedOverlaps: number;
}

/** A fault of its own process, or of all, between the two runs or one lease before or after. */
const EXPLAINED = `exists (select from audit.faults as f
    where (f.target is null or f.target = run.before_by)
      and f.started_at <= run.started_at and f.ended_at + $1::double precision * 2 * interval '1 millisecond' >= run.before_at)`;

/** Duplicates must be explained: every further run of a job lies in a fault of the process that ran it before. */
export async function rerunsIn(history: History, ttlMs: number): Promise<Reruns> {
  const [row] = await history.database.query<Reruns & Record<string, number>>(
    `with run as (
       select run.*, lag(by) over w as before_by, lag(started_at) over w as before_at, lag(ended_at) over w as before_ended_at, lag(ending) over w as before_ending
         from audit.runs as run window w as (partition by job_id order by n)
     ), judged as (
       select *, before_ending = 'threw' and before_ended_at < started_at as retried,
              before_at is not null and coalesce(before_ended_at, 'infinity') > started_at as doubled, ${EXPLAINED} as explained
         from run
     )
     select count(*)::integer as runs,
            count(*) filter (where retried)::integer as retries,
            count(*) filter (where before_at is not null and retried is not true and explained)::integer as explained,
            count(*) filter (where before_at is not null and retried is not true and not explained)::integer as unexplained,
            count(*) filter (where doubled)::integer as "overlaps",
            count(*) filter (where doubled and not explained)::integer as "unexplainedOverlaps"
       from judged`,
    [ttlMs],
  );
  return row!;
}

/** What happened to jobs that ran again although nothing explains it, for a failure's message. */
export async function unexplainedIn(history: History, ttlMs: number): Promise<string> {
  const rows = await history.database.query<{ id: string }>(
    `select distinct job_id::text as id from (
       select run.*, lag(by) over w as before_by, lag(started_at) over w as before_at, lag(ended_at) over w as before_ended_at, lag(ending) over w as before_ending
         from audit.runs as run window w as (partition by job_id order by n)) as run
      where before_at is not null and (before_ending = 'threw' and before_ended_at < started_at) is not true and not ${EXPLAINED}
      limit 5`,
    [ttlMs],
  );
  return (await Promise.all(rows.map(({ id }) => lifeOf(history, id)))).join('\n');
}

/** From a kill to the moment when the jobs that ran there were given back. */
export async function recoveriesIn(history: History): Promise<Recoveries> {
  const [row] = await history.database.query<Recoveries & Record<string, number | null>>(
    `with waited as (
       select extract(epoch from min(moved.at) - fault.started_at) * 1000 as ms
         from audit.faults as fault
         join audit.leases as lease on lease.worker = fault.target and lease.at < fault.started_at
         join audit.jobs as moved on moved.old_seq = lease.seq and moved.op = 'u' and moved.crash_count > moved.old_crash_count and moved.at > fault.started_at
        where fault.kind = 'kill'
        group by fault.started_at, lease.seq, fault.target)
     select count(*)::integer as count,
            round(percentile_cont(0.5) within group (order by ms)::numeric)::double precision as "p50Ms",
            round(percentile_cont(0.99) within group (order by ms)::numeric)::double precision as "p99Ms"
       from waited`,
  );
  return row!;
}

/** Connections of engines, to be back at what they were. */
export async function connectionsOf(history: History): Promise<number> {
  const [row] = await history.database.query<{ count: number }>(
    `select count(*)::integer as count from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend' and application_name not in ('test', 'audit')`,
  );
  return row!.count;
}
