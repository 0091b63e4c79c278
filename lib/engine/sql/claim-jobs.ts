import { CLAIMED_COLUMNS, type ClaimedRow } from './claimed-row.js';
import { numberArray, statement, type Statement } from './statement.js';
import type { Tables } from './tables.js';

/** How many jobs of each queue are wanted, and by whom. */
export interface ClaimArgs {
  readonly workerId: number;
  readonly queues: readonly string[];
  /** One number a queue, each at least 1. */
  readonly limits: readonly number[];
}

/** What a claim says besides the jobs it took. */
export interface ClaimSummary {
  /** Lanes that had work but were locked by another claimer: come back in a moment. */
  readonly skipped: number;
}

/**
 * The parts of a claim, from `wanted` to `lease`. Nothing is written to jobs: a lane's head moves and a lease is recorded.
 * A lane without work is not even locked, so an empty claim writes nothing and needs no transaction id.
 * `skip locked` on the lane: one claimer works, the others come back. Its head is read from the locked, latest version,
 * so a claim with an older snapshot never takes what another has taken; what it cannot see yet is left to the sweep.
 *
 * Several lanes of one queue share its slots, smaller priorities first: `ready` is what each of them could fill.
 *
 * `offset 0` and `for update` keep the planner from making a join of a lookup: statistics from when the table was
 * empty would have it read all of jobs_ready for each lane.
 */
function claimParts(
  { jobs, lanes, leases, leasesSeq, queues }: Tables,
  [workerId, names, limits]: readonly string[],
): string {
  const next = (lane: string) => `from ${jobs} as job
            where job.queue_name = ${lane}.queue_name and job.priority = ${lane}.priority and job.run_at is null
              and not job.run_alone and job.seq > ${lane}.head`;
  return `wanted as materialized (
      select * from unnest(${names}::text[], ${limits}::integer[]) as w(queue_name, slots)
    ), candidate as materialized (
      select lane.queue_name, lane.priority, wanted.slots
        from wanted
       cross join lateral (select * from ${lanes} as lane where lane.queue_name = wanted.queue_name and lane.mode = 'c' offset 0) as lane
       where not exists (select from ${queues} as queue
                          where queue.name = lane.queue_name and queue.paused_at is not null and coalesce(queue.paused_until, 'infinity') > now()
                         offset 0)
         and exists (select ${next('lane')} offset 0)
    ), gate as materialized (
      select lane.queue_name, lane.priority, lane.head, candidate.slots,
             count(*) over (partition by lane.queue_name) > 1 as shared
        from candidate
       cross join lateral (
         select * from ${lanes} as lane
          where lane.queue_name = candidate.queue_name and lane.priority = candidate.priority
            for update skip locked) as lane
    ), filled as materialized (
      select gate.*, case when gate.shared then (select count(*) from (select ${next('gate')} limit gate.slots) as job) end as ready
        from gate
    ), share as materialized (
      select filled.queue_name, filled.priority, filled.head, nextval(${leasesSeq}) as lease_id,
             greatest(filled.slots - coalesce(sum(filled.ready) over before, 0), 0)::integer as slots
        from filled
      window before as (partition by filled.queue_name order by filled.priority rows between unbounded preceding and 1 preceding)
    ), taken as materialized (
      select share.lease_id, job.*
        from share
       cross join lateral (
         select ${CLAIMED_COLUMNS} ${next('share')} order by job.seq limit share.slots) as job
    ), batch as materialized (
      select share.lease_id, share.queue_name, share.priority, mine.head, mine.seqs
        from (select taken.lease_id, max(taken.seq) as head, array_agg(taken.seq) as seqs from taken group by taken.lease_id) as mine
        join share on share.lease_id = mine.lease_id
    ), moved as (
      update ${lanes} as lane set head = batch.head
        from batch where lane.queue_name = batch.queue_name and lane.priority = batch.priority
    ), lease as (
      insert into ${leases} (id, worker_id, queue_name, priority, seqs) overriding system value
      select batch.lease_id, ${workerId}::integer, batch.queue_name, batch.priority, batch.seqs from batch
    )`;
}

/** `summary`: what comes with the rows, as arguments of `json_build_object`. See {@link ClaimedRow}. */
function claimRows(summary: string): string {
  return `select taken.*, null::json as summary from taken
    union all
    select null, null, null, null, null, null, null, null, null, null, null, null, null,
           json_build_object('skipped', (select count(*) from candidate) - (select count(*) from gate), ${summary})`;
}

function claimValues(args: ClaimArgs): unknown[] {
  return [args.workerId, args.queues, numberArray(args.limits)];
}

/**
 * Takes the next ready jobs of several queues at once.
 *
 * Commits asynchronously: a claim lost in a crash of the server is undone whole, head and lease together.
 */
export const claimJobs = statement<ClaimArgs, ClaimedRow>({
  name: 'claim_jobs',
  text: (tables) => `with ${claimParts(tables, ['$1', '$2', '$3'])}
    ${claimRows(`'relaxed', set_config('synchronous_commit', 'off', true)`)}`,
  values: claimValues,
  texts: true,
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

/**
 * The ids find the jobs, the pairs fence them. `is true` keeps the second condition a lookup in a hash table; as a join the planner
 * would be free to read all of jobs, once its statistics are from when the table was empty.
 */
function ackParts({ jobs, leases }: Tables, [ids, seqs, done]: readonly string[]): string {
  return `acked as (
      delete from ${jobs} as job
       where job.id = any (${ids}::bigint[])
         and ((job.id, job.seq) in (select * from unnest(${ids}::bigint[], ${seqs}::bigint[]))) is true
      returning job.id
    ), dropped as (
      delete from ${leases} where id = any (${done}::bigint[])
    )`;
}

const ackedOf = (ids: string) =>
  `(select case when count(*) < cardinality(${ids}::bigint[]) then coalesce(array_agg(id::text), '{}') end from acked)`;

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
    select ${ackedOf('$1')} as acked`,
  values: ackValues,
});

/** {@link ackJobs} and {@link claimJobs} in one statement and one commit: half the commits of a busy worker. Its summary has both. */
export const ackAndClaimJobs: Statement<AckArgs & ClaimArgs, ClaimedRow> = statement({
  name: 'ack_and_claim_jobs',
  text: (tables) => `with ${ackParts(tables, ['$1', '$2', '$3'])}, ${claimParts(tables, ['$4', '$5', '$6'])}
    ${claimRows(`'acked', ${ackedOf('$1')}`)}`,
  values: (args) => [...ackValues(args), ...claimValues(args)],
  texts: true,
});
