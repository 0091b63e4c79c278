import { statement } from './statement.js';

/** What is watched; `null`: everything. */
interface Watched {
  readonly queues: readonly string[] | null;
  readonly jobIds: readonly string[] | null;
  readonly types: readonly string[] | null;
}

export interface WatchEventsArgs extends Watched {
  /** `null`: a new watcher. */
  readonly watcher: string | null;
  /** For so long, in milliseconds. */
  readonly keepMs: number;
}

export interface WatchEventsRow {
  readonly id: string;
  /** Nothing was forgotten since it watched last. */
  readonly resumed: boolean;
  /** The newest event there is. */
  readonly last: string;
}

/** Begins to watch, or goes on. */
export const watchEvents = statement<WatchEventsArgs, WatchEventsRow>({
  name: 'watch_events',
  text: ({ schema }) => `select id::text as id, resumed, last::text as last
      from ${schema}.watch_events($1::bigint, $2::text[], $3::bigint[], $4::text[], $5::double precision)`,
  values: (args) => [args.watcher, args.queues, args.jobIds, args.types, args.keepMs],
});

export interface WatcherRow {
  readonly queues: readonly string[] | null;
  readonly job_ids: readonly string[] | null;
  readonly types: readonly string[] | null;
}

/** Who watches what. */
export const liveWatchers = statement<Record<string, never>, WatcherRow>({
  name: 'live_watchers',
  text: ({ schema }) => `select queues, job_ids, types from ${schema}.live_watchers()`,
  values: () => [],
});

/** Stores events for those who watch. `events`: JSON text, as `record_events()` in the database takes it. */
export const recordEvents = statement<{ readonly events: string }, { readonly recorded: boolean }>({
  name: 'record_events',
  text: ({ schema }) => `select true as recorded from ${schema}.record_events($1::json)`,
  values: (args) => [args.events],
});

export interface ReadEventsArgs extends Watched {
  readonly after: string;
  readonly limit: number;
}

export interface WatchedEventRow {
  readonly id: string;
  readonly type: string;
  readonly event: Record<string, unknown>;
}

/** What was recorded after an event, in order. */
export const readEvents = statement<ReadEventsArgs, WatchedEventRow>({
  name: 'read_events',
  text: ({ watchedEvents }) => `select watched.id::text as id, type, event
      from ${watchedEvents} as watched
     where watched.id > $1::bigint
       and ($2::text[] is null or queue_name = any ($2::text[]))
       and ($3::bigint[] is null or job_id = any ($3::bigint[]))
       and ($4::text[] is null or type = any ($4::text[]))
     order by watched.id
     limit $5::bigint`,
  values: (args) => [args.after, args.queues, args.jobIds, args.types, args.limit],
});
