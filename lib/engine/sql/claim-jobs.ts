import { inOrderOfIds } from './job-order.js';
import { statement, type Statement } from './statement.js';
import type { Tables } from './tables.js';
import { numberArray } from './statement.js';

/** How many jobs of each queue are wanted, and by whom. */
export interface ClaimArgs {
  readonly workerId: number;
  readonly queues: readonly string[];
  /** One number a queue, each at least 1. */
  readonly limits: readonly number[];
}

/** One lease and the jobs it took, or, with `lease_id` null, no job at all. */
export interface ClaimRow {
  readonly lease_id: string | null;
  readonly queue_name: string | null;
  readonly priority: number | null;
  /** JSON text: an array of {@link ClaimTuple}, in ready order. */
  readonly jobs: string | null;
  /** Lanes that had work but were locked by another claimer: come back in a moment. */
  readonly skipped: number;
  /** Queues with limits: the plain claim leaves all of their jobs to {@link claimLimited}. `null`: none. */
  readonly limited: string[] | null;
  /** Queues with jobs in groups that are ready: left to it as well. `null`: none. */
  readonly grouped: string[] | null;
}

/** A claimed job, as `job_tuple()` makes it; what follows the payload is left out where all of it is as in most jobs: 0 and `null`. */
export type ClaimTuple = readonly [
  id: string,
  seq: string,
  createdAt: string,
  payload: unknown,
  runCount?: number,
  crashCount?: number,
  maxAttempts?: number | null,
  readyAt?: string | null,
  group?: string | null,
  flags?: number,
  meta?: object | null,
];

/**
 * `job_tuple()` spelled out for jobs without a group, as text: half of the server's work for a job was `json_build_array`, which looks up
 * the types of its arguments for every row (2026-11-28, PostgreSQL 18.4: 7.2 us a job; as text and without the rest 4.5 us, of
 * which the scan and the payload are 2.2).
 */
const claimTuple = ({
  schema,
}: Tables) => `concat('["', taken.id, '","', taken.seq, '",', to_json(taken.created_at), ',', taken.payload,
               case when taken.run_count = 0 and taken.crash_count = 0 and taken.flags = 0 and taken.max_attempts is null
                         and taken.ready_at is null and taken.meta is null and taken.expires_at is null then ''
                    else concat(',', taken.run_count, ',', taken.crash_count, ',', coalesce(taken.max_attempts::text, 'null'), ',',
                                coalesce(to_json(taken.ready_at)::text, 'null'), ',null,', taken.flags, ',',
                                coalesce(${schema}.claimed_meta(taken.meta, taken.expires_at)::text, 'null')) end, ']')`;

/** True for a queue that nothing may be claimed of: paused, or told to slow down. `name` is an SQL expression. */
export function closedQueue({ queues }: Tables, name: string): string {
  return `exists (select from ${queues} as queue
                          where queue.name = ${name}
                            and (queue.held_until > now() or queue.paused_at is not null and coalesce(queue.paused_until, 'infinity') > now()))`;
}

/** The jobs of a lane beyond its head that plain claims may take. `lane` is the row that names it. */
function beyondHead(lane: string): string {
  return `job.queue_name = ${lane}.queue_name and job.priority = ${lane}.priority and job.run_at is null
            and job.group_key is null and not job.run_alone and job.seq > ${lane}.head`;
}

/**
 * The parts of a claim, from `wanted` to `lease`. Nothing is written to jobs: a lane's head moves and a lease is recorded.
 * The limits keep the planner from searching for work in another way than by the index, whatever its statistics say.
 * A lane without work is not even locked, so an empty claim writes nothing and needs no transaction id.
 * `skip locked` on the lane: one claimer works, the others come back. Its head is read from the locked, latest version,
 * so a claim with an older snapshot never takes what another has taken; what it cannot see yet is left to the sweep. Where ready jobs
 * of the lane have been taken away since its snapshot, the epoch is another, and it comes back.
 * Where a queue has work in several lanes, each may take what the more urgent ones leave of the slots (`share`).
 * Rows of unique jobs are locked, and passed over where somebody has them: whoever replaces a waiting job locks its row too, so
 * that a job is either replaced or handed out. Nobody else pays for it.
 */
function claimParts(tables: Tables, [workerId, names, limits]: readonly string[]): string {
  const { jobs, lanes, leases } = tables;
  return `wanted as materialized (
      select * from unnest(${names}::text[], ${limits}::integer[]) as w(queue_name, slots)
    ), candidate as materialized (
      select lane.queue_name, lane.priority, lane.epoch, wanted.slots
        from wanted
        join ${lanes} as lane on lane.queue_name = wanted.queue_name
       cross join lateral (select from ${jobs} as job where ${beyondHead('lane')} limit 1) as work
       where lane.mode = 'c'
         and not ${closedQueue(tables, 'lane.queue_name')}
    ), gate as materialized (
      select lane.queue_name, lane.priority, lane.head, candidate.slots
        from candidate
        join ${lanes} as lane on lane.queue_name = candidate.queue_name and lane.priority = candidate.priority
         and lane.epoch = candidate.epoch
         for update of lane skip locked
    ), counted as materialized (
      select gate.*,
             case when count(*) over (partition by gate.queue_name) = 1 then gate.slots
                  else (select count(*) from (select from ${jobs} as job where ${beyondHead('gate')} limit gate.slots) as present) end as present,
             exists (select from ${jobs} as job
                      where job.queue_name = gate.queue_name and job.unique_key is not null and job.failed_at is null) as has_unique
        from gate
    ), share as materialized (
      select counted.*, greatest(0, slots - coalesce(sum(present) over (
               partition by queue_name order by priority rows between unbounded preceding and 1 preceding), 0)) as most
        from counted
    ), shared as materialized (
      select picked.id, picked.seq
        from share
       cross join lateral (
         select job.id, job.seq, job.unique_key from ${jobs} as job where ${beyondHead('share')} order by job.seq limit share.most) as picked
       where share.has_unique and picked.unique_key is not null
    ), guarded as materialized (
      select job.id
        from shared join ${jobs} as job on job.id = shared.id and job.seq = shared.seq
         for update of job skip locked
    ), batch as materialized (
      select share.queue_name, share.priority, picked.*
        from share
       cross join lateral (
         select max(taken.seq) as head, array_agg(taken.seq) as seqs, array_agg(taken.id) as ids,
                '[' || string_agg(${claimTuple(tables)}, ',') || ']' as jobs
           from (select job.* from ${jobs} as job where ${beyondHead('share')} order by job.seq limit share.most) as taken
          where taken.unique_key is null or taken.id in (select guarded.id from guarded)) as picked
       where picked.head is not null
    ), moved as (
      update ${lanes} as lane set head = batch.head
        from batch where lane.queue_name = batch.queue_name and lane.priority = batch.priority
    ), lease as (
      insert into ${leases} (worker_id, queue_name, priority, seqs, ids)
      select ${workerId}::integer, batch.queue_name, batch.priority, batch.seqs, batch.ids from batch
      returning id, queue_name, priority
    )`;
}

const CLAIM_ROWS = `select lease.id as lease_id, batch.queue_name, batch.priority, batch.jobs, contended.skipped, others.limited, others.grouped`;

function claimFrom({ jobs, lanes }: Tables): string {
  return `from (select ((select count(*) from candidate) - (select count(*) from gate))::integer as skipped) as contended
   cross join (
      select array_agg(wanted.queue_name) filter (where (
               select true from ${lanes} as lane where lane.queue_name = wanted.queue_name and lane.mode = 'l' limit 1)) as limited,
             array_agg(wanted.queue_name) filter (where (
               select true from ${jobs} as job
                where job.queue_name = wanted.queue_name and job.run_at is null and job.group_key is not null limit 1)) as grouped
        from wanted) as others
    left join (batch join lease on lease.queue_name = batch.queue_name and lease.priority = batch.priority) on true`;
}

function claimValues(args: ClaimArgs): unknown[] {
  return [args.workerId, args.queues, numberArray(args.limits)];
}

/**
 * Takes the next ready jobs of several queues at once.
 *
 * Commits asynchronously: a claim lost in a crash of the server is undone whole, head and lease together.
 */
export const claimJobs = statement<ClaimArgs, ClaimRow>({
  name: 'claim_jobs',
  text: (tables) => `with ${claimParts(tables, ['$1', '$2', '$3'])}
    ${CLAIM_ROWS}, set_config('synchronous_commit', 'off', true) as relaxed
    ${claimFrom(tables)}`,
  values: claimValues,
});

/** Acks: jobs by id and token, and the leases that are finished with them. */
export interface AckArgs {
  readonly ids: readonly string[];
  readonly seqs: readonly string[];
  readonly leases: readonly string[];
}

/** `null`: every job was ours. Otherwise the ids of those that were. */
export interface AckRow {
  readonly acked: string[] | null;
}

/** The token that belongs to an id is found by a binary search, so that all jobs are found in one walk over the index instead of a join. */
function ackParts({ jobs, leases }: Tables, [ids, seqs, done]: readonly string[]): string {
  return `acked as (
      delete from ${jobs} as job
       where job.id = any (${ids}::bigint[]) and job.seq = (${seqs}::bigint[])[width_bucket(job.id, ${ids}::bigint[])]
      returning job.id
    ), dropped as (
      delete from ${leases} where id = any (${done}::bigint[])
    )`;
}

const ackedOf = (ids: string) =>
  `(select case when count(*) < cardinality(${ids}::bigint[]) then coalesce(array_agg(id::text), '{}') end from acked) as acked`;

/** Tells the triggers of jobs that mean something to others how these have ended; until the commit. */
const COMPLETED = `set_config('taskmaster.outcome', 'completed', true) as outcome`;

/** In the order of ids, which the binary search needs as well; of an id that is there twice, the token that was drawn later comes last and counts. */
function ackValues({ ids, seqs, leases }: AckArgs): unknown[] {
  const ended = inOrderOfIds(ids.map((id, index) => ({ id, seq: seqs[index] as string })));
  return [
    numberArray(ended.map((each) => each.id)),
    numberArray(ended.map((each) => each.seq)),
    numberArray(leases),
  ];
}

/**
 * Acks: deletes the jobs, fenced by their tokens. Commits as durably as the server is set to, one flush for many jobs:
 * acked is final, also across a crash of the server.
 */
export const ackJobs = statement<AckArgs, AckRow>({
  name: 'ack_jobs',
  text: (tables) => `with ${ackParts(tables, ['$1', '$2', '$3'])}
    select ${ackedOf('$1')}, ${COMPLETED}`,
  values: ackValues,
});

/** {@link ackJobs} and {@link claimJobs} in one statement and one commit: half the commits of a busy worker. */
export const ackAndClaimJobs: Statement<AckArgs & ClaimArgs, AckRow & ClaimRow> = statement({
  name: 'ack_and_claim_jobs',
  text: (tables) => `with ${ackParts(tables, ['$1', '$2', '$3'])}, ${claimParts(tables, ['$4', '$5', '$6'])}
    ${CLAIM_ROWS}, ${ackedOf('$1')}, ${COMPLETED}
    ${claimFrom(tables)}`,
  values: (args) => [...ackValues(args), ...claimValues(args)],
});

/** How many jobs of each queue are wanted, and how many of them could start at once. */
export interface ClaimLimitedArgs extends ClaimArgs {
  readonly frees: readonly number[];
}

/** A row a lease; rows without one tell when to come again. */
export interface ClaimLimitedRow {
  readonly lease_id: string | null;
  readonly queue_name: string;
  readonly priority: number | null;
  readonly jobs: string | null;
  /** Milliseconds until a rate limit lets the next job start, or another claimer is done. */
  readonly wait_ms: number | null;
}

/**
 * Takes jobs of queues with limits, and jobs in groups. A database function (see the migration): it locks the queue, and counts what runs on
 * a snapshot younger than that lock, so that a limit is never exceeded.
 */
export const claimLimited = statement<ClaimLimitedArgs, ClaimLimitedRow>({
  name: 'claim_limited',
  text: ({
    schema,
  }) => `select lease as lease_id, queue as queue_name, lane as priority, jobs, wait_ms, set_config('synchronous_commit', 'off', true) as relaxed
      from ${schema}.claim_limited($1::integer, $2::text[], $3::integer[], $4::integer[])`,
  values: (args) => [args.workerId, args.queues, numberArray(args.limits), numberArray(args.frees)],
});
