import type { History } from './history.js';

/** One thing that must never have happened. */
export interface Check {
  readonly id: string;
  /** What is violated when it counts more than 0. */
  readonly says: string;
  /** Rows that are violations; `{{schema}}` is the quoted schema. */
  readonly sql: string;
}

/** What a process was told before or while it was cut off does not count against it: `run` is a row of `audit.runs`. */
const CUT_OFF = `exists (select from audit.faults as f
    where (f.target is null or f.target = run.by) and f.started_at <= run.started_at + interval '1 second'
      and f.ended_at + $1::double precision * interval '1 millisecond' >= run.started_at)`;

/** A crash of the server undoes claims that it had not flushed, whole; what they had handed out may still be acked. */
const LOST_IN_A_CRASH = `exists (select from audit.faults as f
    where f.kind = 'crash' and f.started_at <= settled.at and f.ended_at + $1::double precision * interval '1 millisecond' * 4 >= settled.at)`;

/**
 * What must be 0 over any history that has come to rest, whatever was done to it. `$1` is the lease, in milliseconds.
 *
 * The token of an attempt is `jobs.seq`; who runs what is in `leases`; a claim writes nothing to the job. RELIABILITY: I1 to I15.
 */
export const HARD_CHECKS: readonly Check[] = [
  {
    id: 'I1',
    says: 'a job whose enqueue committed neither ended nor failed, or is gone without a trace',
    sql: `select job_id from audit.jobs as began
           where op = 'i'
             and not exists (select from audit.jobs as ended where ended.job_id = began.job_id and ended.op = 'd')
             and not exists (select from {{schema}}.jobs as job where job.id = began.job_id and job.failed_at is not null)`,
  },
  {
    id: 'I2',
    says: 'an enqueue that was rolled back, or was said to have failed, is there',
    sql: `select key from audit.outcomes as said
           where outcome in ('rolled back', 'failed')
             and (exists (select from audit.business as b where b.key = said.key) or exists (select from audit.jobs as j where j.op = 'i' and j.key = said.key))`,
  },
  {
    id: 'I3',
    says: 'a job and the row that was written with it are not both there, or a job is there that nobody enqueued, or twice',
    sql: `select said.key from audit.outcomes as said
           where (outcome = 'ok' and not exists (select from audit.jobs as j where j.op = 'i' and j.key = said.key))
              or (business and outcome in ('ok', 'unknown')
                  and exists (select from audit.business as b where b.key = said.key) <> exists (select from audit.jobs as j where j.op = 'i' and j.key = said.key))
          union all
          select key from audit.jobs as j where op = 'i' and key is not null and not exists (select from audit.outcomes as said where said.key = j.key)
          union all
          select key from audit.jobs where op = 'i' and key is not null group by key having count(*) > 1`,
  },
  {
    id: 'I4',
    says: 'a job left an end state although no operator asked for it',
    sql: `select job_id from audit.jobs where op = 'u' and old_state = 'failed' and new_state <> 'failed'
          union all
          select later.job_id from audit.jobs as ended join audit.jobs as later on later.job_id = ended.job_id and later.n > ended.n
           where ended.op = 'd'`,
  },
  {
    id: 'I5',
    says: 'a job was acked twice, or handed out or started after it was acked',
    sql: `select job_id from audit.jobs where op = 'd' group by job_id having count(*) > 1
          union all
          select lease.job_id from audit.leases as lease join audit.jobs as ended on ended.job_id = lease.job_id
           where ended.op = 'd' and lease.n > ended.n
          union all
          select run.job_id from audit.runs as run join audit.jobs as ended on ended.job_id = run.job_id
           where ended.op = 'd' and run.n > ended.n and not ${CUT_OFF}`,
  },
  {
    id: 'I6',
    says: 'a token was handed out twice, or for a job that was not ready, or is not newer than the one before',
    sql: `select min(job_id) from audit.leases group by seq having count(*) > 1
          union all
          select job_id from audit.leases where not ready
          union all
          select job_id from audit.jobs where op = 'u' and new_seq < old_seq`,
  },
  {
    id: 'I7',
    says: 'an attempt was settled by another process than the one that held its token',
    sql: `select settled.job_id from audit.jobs as settled join audit.leases as lease on lease.seq = settled.old_seq
           where lease.worker <> settled.by
             and (settled.op = 'd' or (settled.old_state = 'ready' and settled.crash_count = settled.old_crash_count))`,
  },
  {
    id: 'I8',
    says: 'a job was acked by a token that nobody held, or whose holder never started it',
    sql: `select settled.job_id from audit.jobs as settled left join audit.leases as lease on lease.seq = settled.old_seq
           where settled.op = 'd'
             and (lease.seq is null or not exists (
                   select from audit.runs as run where run.job_id = settled.job_id and run.by = lease.worker and run.n > lease.n and run.n < settled.n))
             and not ${LOST_IN_A_CRASH}`,
  },
  {
    id: 'I9',
    says: 'a job was attempted more often than it may be, or can still run after it has lost too many workers',
    sql: `select job_id from audit.jobs where op = 'u' and run_count > max_attempts
          union all
          select job_id from audit.jobs where op = 'u' and new_state <> 'failed' and crash_count >= $2::integer and crash_count > old_crash_count`,
  },
  {
    id: 'I10',
    says: 'more jobs of a group ran than may, or two jobs with one unique key were there at once',
    sql: `with held as (
            select lease.n as since, lease.job_id, inserted.queue, inserted.group_key,
                   (select min(left_it.n) from audit.jobs as left_it where left_it.old_seq = lease.seq and (left_it.op = 'd' or left_it.new_seq <> left_it.old_seq)) as until
              from audit.leases as lease join audit.jobs as inserted on inserted.job_id = lease.job_id and inserted.op = 'i'
             where inserted.group_key is not null
          ), steps as (
            select queue, group_key, job_id, since as n, 1 as step from held
            union all select queue, group_key, job_id, until, -1 from held where until is not null
          ), counted as (
            select queue, group_key, job_id, sum(step) over (partition by queue, group_key order by n) as running from steps
          )
          select job_id from counted where running > case queue when 'pairs' then 2 else 1 end
          union all
          select job_id from (
            select job_id, sum(case op when 'i' then 1 else -1 end) over (partition by queue, unique_key order by n) as there
              from audit.jobs where unique_key is not null and op in ('i', 'd')) as keyed
           where there > 1`,
  },
  {
    id: 'I11',
    says: 'a job of a strict group began before one that was enqueued earlier had ended',
    sql: `select later.job_id
            from audit.jobs as later
            join audit.outcomes as said on said.key = later.key and said.outcome = 'ok'
            join lateral (select min(n) as n from audit.leases as lease where lease.job_id = later.job_id) as begun on true
            join audit.jobs as earlier on earlier.queue = later.queue and earlier.group_key = later.group_key and earlier.op = 'i' and earlier.job_id < later.job_id
            join audit.outcomes as sooner on sooner.key = earlier.key and sooner.outcome = 'ok'
            left join lateral (select min(n) as n from audit.jobs as ended
                                where ended.job_id = earlier.job_id and (ended.op = 'd' or ended.new_state = 'failed')) as over on true
           where later.op = 'i' and later.queue = 'ordered' and later.group_key is not null and begun.n < coalesce(over.n, 9223372036854775807)`,
  },
  {
    id: 'I12',
    says: 'what a handler wrote in its transaction is there more or less than once',
    sql: `select job_id from audit.effects group by job_id having count(*) > 1
          union all
          select job_id from audit.jobs as ended where op = 'd' and queue = 'effect' and not exists (select from audit.effects as e where e.job_id = ended.job_id)
          union all
          select job_id from audit.effects as e where not exists (select from audit.jobs as ended where ended.op = 'd' and ended.job_id = e.job_id)`,
  },
  {
    id: 'I13',
    says: 'a schedule fired twice for one time',
    sql: `select min(job_id) from audit.jobs where op = 'i' and fired is not null group by fired having count(*) > 1`,
  },
  {
    id: 'I14',
    says: 'a job became ready before its time, by the clock of the database',
    sql: `select job_id from audit.jobs where op = 'u' and old_state = 'scheduled' and new_state = 'ready' and at < due`,
  },
  {
    id: 'I15',
    says: 'a job went from one state to another that does not follow it',
    sql: `select job_id from audit.jobs
           where (op = 'i' and new_state not in ('ready', 'scheduled', 'parked'))
              or (op = 'u' and (old_state, new_state) not in (
                   ('ready', 'ready'), ('ready', 'scheduled'), ('ready', 'parked'), ('ready', 'failed'), ('scheduled', 'ready'),
                   ('scheduled', 'scheduled'), ('scheduled', 'failed'), ('parked', 'ready'), ('parked', 'parked'), ('parked', 'failed')))
              or (op = 'u' and old_state = 'ready' and old_seq = new_seq)
              or (op = 'd' and old_state <> 'ready')`,
  },
  {
    id: 'I16',
    says: 'an enqueue failed although nothing was done to it',
    sql: `select key from audit.outcomes as said
           where outcome = 'failed'
             and not exists (select from audit.faults as f where f.target is null or f.target = 'producer')`,
  },
];

/** How often each check found a violation, by its id. */
export type Verdict = Readonly<Record<string, number>>;

/** Every check at 0. */
export const NO_VIOLATIONS: Verdict = Object.fromEntries(HARD_CHECKS.map(({ id }) => [id, 0]));

/** Options of {@link verdictOn}. */
export interface VerdictOptions {
  readonly ttlMs: number;
  readonly maxCrashes: number;
}

/** Judges a history that has come to rest. The faults must be stored. */
export async function verdictOn(history: History, { ttlMs, maxCrashes }: VerdictOptions): Promise<Verdict> {
  const { schema } = history.database;
  const counts: Record<string, number> = {};
  for (const { id, sql } of HARD_CHECKS) {
    const text = sql.replaceAll('{{schema}}', `"${schema}"`);
    const [row] = await history.database.query<{ count: number }>(
      `select count(*)::integer as count, $1::double precision as ttl, $2::integer as crashes from (${text}) as violations`,
      [ttlMs, maxCrashes],
    );
    counts[id] = row!.count;
  }
  return counts;
}

/** The checks that are violated, in words with examples; for a failure's message. */
export async function explain(
  history: History,
  verdict: Verdict,
  options: VerdictOptions,
): Promise<string[]> {
  const broken = HARD_CHECKS.filter(({ id }) => verdict[id] !== 0);
  return Promise.all(broken.map((check) => explainOne(history, check, options)));
}

async function explainOne(
  history: History,
  { id, says, sql }: Check,
  options: VerdictOptions,
): Promise<string> {
  const text = sql.replaceAll('{{schema}}', `"${history.database.schema}"`);
  const rows = await history.database.query<Record<string, unknown>>(
    `select *, $1::double precision as ttl, $2::integer as crashes from (${text}) as violations limit 5`,
    [options.ttlMs, options.maxCrashes],
  );
  const examples = await Promise.all(rows.map((row) => lifeOf(history, String(Object.values(row)[0]))));
  return `${id}: ${says}\n${examples.join('\n')}`;
}

/** Everything that happened to a job, in order. */
export async function lifeOf(history: History, id: string): Promise<string> {
  const rows = await history.database.query<{ line: string }>(
    `select line from (
       select n, concat_ws(' ', n, to_char(at, 'HH24:MI:SS.MS'), by, case op when 'i' then 'inserted' when 'd' then 'ended' else 'moved' end,
                           outcome, old_state || coalesce(' -> ' || new_state, ''), old_seq || coalesce(' -> ' || new_seq, ''), group_key) as line
         from audit.jobs where job_id::text = $1 or key = $1
       union all select n, concat_ws(' ', n, to_char(at, 'HH24:MI:SS.MS'), by, 'leased to', worker, seq) from audit.leases where job_id::text = $1
       union all select n, concat_ws(' ', n, to_char(started_at, 'HH24:MI:SS.MS'), by, 'started', attempt, ending) from audit.runs where job_id::text = $1
       union all select 0, concat_ws(' ', 'outcome', outcome, error) from audit.outcomes where key = $1
       union all select n, concat_ws(' ', n, to_char(ended_at, 'HH24:MI:SS.MS'), by, 'had ended', attempt) from audit.runs where job_id::text = $1 and ended_at is not null
       union all select 9223372036854775807, concat_ws(' ', 'fault', f.kind, f.target, to_char(f.started_at, 'HH24:MI:SS.MS'), to_char(f.ended_at, 'HH24:MI:SS.MS'))
                   from audit.faults as f
                  where exists (select from audit.runs as r where r.job_id::text = $1 and (f.target is null or f.target = r.by)
                                   and f.started_at between r.started_at - interval '30 seconds' and r.started_at + interval '30 seconds')
     ) as life order by n limit 60`,
    [id],
  );
  return `  job ${id}\n${rows.map(({ line }) => `    ${line}`).join('\n')}`;
}
