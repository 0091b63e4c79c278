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

/** id, seq, run_count, crash_count, max_attempts, created_at, ready_at, group_key, flags, meta, payload; as `job_tuple()` makes them. */
export type ClaimTuple = readonly [
  id: string,
  seq: string,
  runCount: number,
  crashCount: number,
  maxAttempts: number | null,
  createdAt: string,
  readyAt: string | null,
  group: string | null,
  flags: number,
  meta: object | null,
  payload: unknown,
];

const claimTuple = ({
  schema,
}: Tables) => `json_build_array(picked.id::text, picked.seq::text, picked.run_count, picked.crash_count, picked.max_attempts,
             picked.created_at, picked.ready_at, picked.group_key, picked.flags, ${schema}.claimed_meta(picked.meta, picked.expires_at), picked.payload)`;

/** True for a queue that nothing may be claimed of: paused, or told to slow down. `name` is an SQL expression. */
export function closedQueue({ queues }: Tables, name: string): string {
  return `exists (select from ${queues} as queue
                          where queue.name = ${name}
                            and (queue.held_until > now() or queue.paused_at is not null and coalesce(queue.paused_until, 'infinity') > now()))`;
}

/**
 * The parts of a claim, from `wanted` to `lease`. Nothing is written to jobs: a lane's head moves and a lease is recorded.
 * The limits keep the planner from searching for work in another way than by the index, whatever its statistics say.
 * A lane without work is not even locked, so an empty claim writes nothing and needs no transaction id.
 * `skip locked` on the lane: one claimer works, the others come back. Its head is read from the locked, latest version,
 * so a claim with an older snapshot never takes what another has taken; what it cannot see yet is left to the sweep. Where ready jobs
 * of the lane have been taken away since its snapshot, the epoch is another, and it comes back.
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
       cross join lateral (
         select from ${jobs} as job
          where job.queue_name = lane.queue_name and job.priority = lane.priority and job.run_at is null
            and job.group_key is null and not job.run_alone and job.seq > lane.head
          limit 1) as work
       where lane.mode = 'c'
         and not ${closedQueue(tables, 'lane.queue_name')}
    ), gate as materialized (
      select lane.queue_name, lane.priority, lane.head, candidate.slots
        from candidate
        join ${lanes} as lane on lane.queue_name = candidate.queue_name and lane.priority = candidate.priority
         and lane.epoch = candidate.epoch
         for update of lane skip locked
    ), ranked as materialized (
      select taken.*, gate.slots, row_number() over (partition by gate.queue_name order by gate.priority, taken.seq) as place
        from gate
       cross join lateral (
         select job.* from ${jobs} as job
          where job.queue_name = gate.queue_name and job.priority = gate.priority and job.run_at is null
            and job.group_key is null and not job.run_alone and job.seq > gate.head
          order by job.seq
          limit gate.slots) as taken
    ), guarded as materialized (
      select job.id
        from ranked join ${jobs} as job on job.id = ranked.id and job.seq = ranked.seq
       where ranked.unique_key is not null and ranked.place <= ranked.slots
         for update of job skip locked
    ), batch as materialized (
      select picked.queue_name, picked.priority, max(picked.seq) as head, array_agg(picked.seq) as seqs, array_agg(picked.id) as ids,
             json_agg(${claimTuple(tables)} order by picked.seq)::text as jobs
        from ranked as picked
       where picked.place <= picked.slots and (picked.unique_key is null or picked.id in (select guarded.id from guarded))
       group by picked.queue_name, picked.priority
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

function ackParts({ jobs, leases }: Tables, [ids, seqs, done]: readonly string[]): string {
  return `acked as (
      delete from ${jobs} as job using unnest(${ids}::bigint[], ${seqs}::bigint[]) as ended(id, seq)
       where job.id = ended.id and job.seq = ended.seq
      returning job.id
    ), dropped as (
      delete from ${leases} where id = any (${done}::bigint[])
    )`;
}

const ackedOf = (ids: string) =>
  `(select case when count(*) < cardinality(${ids}::bigint[]) then coalesce(array_agg(id::text), '{}') end from acked) as acked`;

/** Tells the triggers of jobs that mean something to others how these have ended; until the commit. */
const COMPLETED = `set_config('taskmaster.outcome', 'completed', true) as outcome`;

function ackValues(args: AckArgs): unknown[] {
  return [numberArray(args.ids), numberArray(args.seqs), numberArray(args.leases)];
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
  }) => `select lease as lease_id, queue as queue_name, lane as priority, jobs::text as jobs, wait_ms, set_config('synchronous_commit', 'off', true) as relaxed
      from ${schema}.claim_limited($1::integer, $2::text[], $3::integer[], $4::integer[])`,
  values: (args) => [args.workerId, args.queues, numberArray(args.limits), numberArray(args.frees)],
});
