import { FIELDS, queueFields } from './read-queues.js';
import type { QueueStatsJson } from './read-queues.js';
import { statement } from './statement.js';

/** Adds to the numbers of this minute and this hour. `happened`: JSON text, as `record_stats()` in the database takes it. */
export const recordStats = statement<{ readonly happened: string }, { readonly recorded: boolean }>({
  name: 'record_stats',
  text: ({ schema }) => `select true as recorded from ${schema}.record_stats($1::json)`,
  values: (args) => [args.happened],
});

/** Whether the caller is to look at the queues now, because nobody has within so many milliseconds. */
export const beginSnapshot = statement<{ readonly olderThanMs: number }, { readonly begun: boolean }>({
  name: 'begin_snapshot',
  text: ({ schema }) => `select ${schema}.begin_snapshot($1::double precision) as begun`,
  values: (args) => [args.olderThanMs],
});

/** A queue when somebody looked. */
export interface SnapshotJson extends QueueStatsJson {
  /** Scheduled ones that wait for another attempt, among the first 1,000. */
  readonly retrying: number;
}

/** What each queue holds; no count goes beyond the limit. */
export const lookAtQueues = statement<
  { readonly most: number; readonly queues: number },
  { readonly queues: string }
>({
  name: 'look_at_queues',
  text: (
    tables,
  ) => `select coalesce(json_agg(jsonb_build_object(${FIELDS}) || ${tables.schema}.look_at_queue(q.name, $1::integer) order by q.name collate "C"), '[]')::text as queues
      from ${tables.schema}.known_queues('', $2::integer) as found(name)
     cross join lateral (${queueFields(tables, 'found.name')}) as q`,
  values: (args) => [args.most, args.queues],
});

/** Stores what the queues hold: JSON text of a list of {@link SnapshotJson}. */
export const storeSnapshot = statement<{ readonly queues: string }, { readonly stored: boolean }>({
  name: 'store_snapshot',
  text: ({ schema }) => `select true as stored from ${schema}.store_snapshot($1::jsonb)`,
  values: (args) => [args.queues],
});

export const pruneStats = statement<undefined, { readonly pruned: boolean }>({
  name: 'prune_stats',
  text: ({ schema }) => `select true as pruned from ${schema}.prune_stats()`,
  values: () => [],
});

/** What has happened to the jobs of a queue. */
export interface HappenedJson {
  readonly completed: number;
  readonly failed: number;
  readonly retried: number;
  readonly cancelled: number;
}

/** As JSON text; times in ISO 8601. */
export interface OverviewJson {
  readonly now: string;
  readonly takenAt: string | null;
  readonly queues: readonly SnapshotJson[];
  /** Within the last 24 hours. */
  readonly day: readonly (HappenedJson & { readonly queue: string })[];
  /** Within the last hour, minute by minute: 0 is the one that goes on. */
  readonly hour: readonly (HappenedJson & { readonly queue: string; readonly ago: number })[];
}

/** All that an overview shows: the queues when somebody last looked, and what has happened since. Looks at no job. */
export const readOverview = statement<undefined, { readonly overview: string }>({
  name: 'read_overview',
  text: ({
    snapshot,
    stats,
  }) => `select json_build_object('now', now(), 'takenAt', snapshot.taken_at, 'queues', snapshot.queues,
             'day', (select coalesce(json_agg(json_build_object('queue', d.queue_name, 'completed', d.completed, 'failed', d.failed, 'retried', d.retried, 'cancelled', d.cancelled)), '[]')
                       from (select s.queue_name, sum(s.completed) as completed, sum(s.failed) as failed, sum(s.retried) as retried, sum(s.cancelled) as cancelled
                               from ${stats} as s where s.step = 60 and s.at > now() - interval '24 hours' group by s.queue_name) as d),
             'hour', (select coalesce(json_agg(json_build_object('queue', s.queue_name, 'ago', (extract(epoch from date_trunc('minute', now()) - s.at) / 60)::integer,
                               'completed', s.completed, 'failed', s.failed, 'retried', s.retried, 'cancelled', s.cancelled)), '[]')
                        from ${stats} as s where s.step = 1 and s.at > now() - interval '60 minutes'
                         and (s.completed > 0 or s.failed > 0 or s.retried > 0 or s.cancelled > 0)))::text as overview
      from ${snapshot} as snapshot`,
  values: () => [],
});

export interface SeriesArgs {
  /** Minutes in a stored row: 1 or 60. */
  readonly step: number;
  /** `null`: all queues. */
  readonly queues: readonly string[] | null;
  readonly from: Date;
  readonly to: Date;
  /** Length of a point, in seconds. */
  readonly seconds: number;
}

export interface SeriesRow extends Readonly<Record<keyof HappenedJson, string>> {
  /** Seconds since 1970. */
  readonly at: number;
  readonly wait: readonly string[];
  readonly run: readonly string[];
  readonly ready: number | null;
  readonly running: number | null;
  readonly scheduled: number | null;
  readonly dead: number | null;
  readonly oldest_ms: number | null;
}

/** Points of a chart: sums within each, and of what queues held the sum over the queues of the most there was. */
export const readSeries = statement<SeriesArgs, SeriesRow>({
  name: 'read_series',
  text: ({ schema, stats }) => `with queue_points as (
      select (floor(extract(epoch from s.at) / $5::integer) * $5::integer)::double precision as at, s.queue_name,
             sum(s.completed) as completed, sum(s.failed) as failed, sum(s.retried) as retried, sum(s.cancelled) as cancelled,
             ${schema}.sum_counts(s.wait) as wait, ${schema}.sum_counts(s.run) as run,
             max(s.ready) as ready, max(s.running) as running, max(s.scheduled) as scheduled, max(s.dead) as dead, max(s.oldest_ms) as oldest_ms
        from ${stats} as s
       where s.step = $1::smallint and ($2::text[] is null or s.queue_name = any ($2::text[])) and s.at >= $3::timestamptz and s.at < $4::timestamptz
       group by 1, 2
    )
    select p.at, sum(p.completed)::bigint as completed, sum(p.failed)::bigint as failed, sum(p.retried)::bigint as retried, sum(p.cancelled)::bigint as cancelled,
           ${schema}.sum_counts(p.wait)::text[] as wait, ${schema}.sum_counts(p.run)::text[] as run,
           sum(p.ready)::integer as ready, sum(p.running)::integer as running, sum(p.scheduled)::integer as scheduled, sum(p.dead)::integer as dead,
           max(p.oldest_ms) as oldest_ms
      from queue_points as p
     group by p.at
     order by p.at`,
  values: (args) => [args.step, args.queues, args.from, args.to, args.seconds],
});
