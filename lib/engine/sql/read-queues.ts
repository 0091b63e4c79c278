import type { JobState } from '../job/job-state.js';
import { statement } from './statement.js';
import type { Tables } from './tables.js';

/** A queue, as JSON text of a {@link QueueJson}. */
export interface QueueRow {
  readonly queue: string;
}

/** What is known of a queue without counting its jobs; times in ISO 8601. */
export interface QueueJson {
  readonly name: string;
  readonly paused: {
    readonly by: string | null;
    readonly since: string;
    readonly until: string | null;
    readonly reason: string | null;
  } | null;
  readonly heldUntil: string | null;
  readonly maxPending: number | null;
  readonly workers: number;
  readonly quietWorkers: number;
  readonly slots: number;
}

/** The fields of a {@link QueueJson}. */
export function queueFields({ schema, queues }: Tables, name: string): string {
  return `select known.name, state.paused, state.held_until, state.max_pending, served.*
            from (select ${name} as name) as known
            left join lateral (
              select case when queue.paused_at is not null and coalesce(queue.paused_until, 'infinity') > now()
                          then json_build_object('by', queue.paused_by, 'since', queue.paused_at, 'until', nullif(queue.paused_until, 'infinity'), 'reason', queue.pause_reason) end as paused,
                     case when queue.held_until > now() then queue.held_until end as held_until, queue.max_pending
                from ${queues} as queue where queue.name = known.name) as state on true
           cross join lateral (
              select count(*) filter (where worker.state = 'running') as workers, count(*) filter (where worker.state <> 'running') as quiet_workers,
                     coalesce(sum(worker.slots) filter (where worker.state = 'running'), 0) as slots
                from ${schema}.workers_of(known.name) as worker) as served`;
}

/** Of {@link queueFields}, as JSON. */
export const FIELDS = `'name', q.name, 'paused', q.paused, 'heldUntil', q.held_until, 'maxPending', q.max_pending, 'workers', q.workers, 'quietWorkers', q.quiet_workers, 'slots', q.slots`;

/** The queues there are, a page at a time, in the order of their names. Counts no jobs. */
export const listQueues = statement<{ readonly after: string; readonly limit: number }, QueueRow>({
  name: 'list_queues',
  text: (tables) => `select json_build_object(${FIELDS})::text as queue
      from ${tables.schema}.known_queues($1::text, $2::integer) as found(name)
     cross join lateral (${queueFields(tables, 'found.name')}) as q
     order by found.name collate "C"`,
  values: ({ after, limit }) => [after, limit],
});

/** Jobs of a queue in the states in which they have not ended, and those that have failed. */
export type CountedState = Exclude<JobState, 'completed' | 'cancelled'>;

/** The queue with how many jobs of it are in each state; no count goes beyond the limit. */
export interface QueueStatsJson extends QueueJson {
  readonly counts: Readonly<Record<CountedState, number>>;
  readonly oldestReadyMs: number | null;
}

export interface CountArgs {
  readonly queue: string;
  /** Where each count stops. */
  readonly most: number;
}

const leased = ({ leases, jobs }: Tables) => `array(
        select job.id from ${leases} as lease cross join lateral unnest(lease.seqs, lease.ids) as held(seq, id)
          join ${jobs} as job on job.id = held.id and job.seq = held.seq
         where lease.queue_name = $1::text)`;

/** No more rows than these are looked at, each kind in the index of its own. */
const counted = ({ jobs }: Tables, condition: string) => `(select count(*) from (
          select from ${jobs} as job where job.queue_name = $1::text and ${condition} limit $2::integer) as looked)`;

/** Members of groups are in another index than the others. */
const ready = (condition: string) =>
  `job.run_at is null and job.group_key ${condition} and job.id <> all (running.ids)`;

/** One count a state. Who is asked for some of them only asks for all: they are as cheap. */
const counts = (tables: Tables) => `json_build_object(
               'running', cardinality(running.ids),
               'ready', least($2::integer, ${counted(tables, ready('is null'))} + ${counted(tables, ready('is not null'))}),
               'scheduled', ${counted(tables, `job.run_at < 'infinity' and job.failed_at is null`)},
               'blocked', ${counted(tables, `job.run_at = 'infinity' and job.failed_at is null`)},
               'failed', ${counted(tables, 'job.failed_at is not null')})`;

/**
 * What a queue holds and who works on it. The oldest ready job is the first of a lane, which jobs enter in the order in which they become
 * ready, or the oldest of as many as are counted: of groups, and where nobody has opened a lane yet.
 */
export const queueStats = statement<CountArgs, QueueRow>({
  name: 'queue_stats',
  text: (tables) => `select json_build_object(${FIELDS}, 'counts', ${counts(tables)},
             'oldestReadyMs', (select max(greatest(0, extract(epoch from now() - oldest.since) * 1000)) from (
                (select coalesce(job.ready_at, job.created_at) as since
                   from ${tables.lanes} as lane
                  cross join lateral (select first.ready_at, first.created_at from ${tables.jobs} as first
                                       where first.queue_name = lane.queue_name and first.priority = lane.priority and first.run_at is null
                                         and first.group_key is null and first.id <> all (running.ids) order by first.seq limit 1) as job
                  where lane.queue_name = $1::text)
                union all
                (select coalesce(job.ready_at, job.created_at) from ${tables.jobs} as job
                  where job.queue_name = $1::text and ${ready('is null')} limit $2::integer)
                union all
                (select coalesce(job.ready_at, job.created_at) from ${tables.jobs} as job
                  where job.queue_name = $1::text and ${ready('is not null')} limit $2::integer)) as oldest))::text as queue
      from (${queueFields(tables, '$1::text')}) as q
     cross join (select ${leased(tables)} as ids) as running`,
  values: ({ queue, most }) => [queue, most],
});

/** How many jobs of a queue are in each state; no count goes beyond the limit. */
export const queueSize = statement<CountArgs, { readonly counts: string }>({
  name: 'queue_size',
  text: (tables) =>
    `select ${counts(tables)}::text as counts from (select ${leased(tables)} as ids) as running`,
  values: ({ queue, most }) => [queue, most],
});
