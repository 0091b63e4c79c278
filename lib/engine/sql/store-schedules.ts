import { ORPHANED, SCHEDULE_JSON, type ScheduleRow } from './list-schedules.js';
import { statement } from './statement.js';

/** The columns of definitions `d`, as `encodeSchedule` writes them. */
const DEFINED = `d -> 'row' ->> 'name', d -> 'row' ->> 'queue', d -> 'row' ->> 'cron', (d -> 'row' ->> 'everyMs')::bigint,
           d -> 'row' ->> 'timezone', d -> 'row' ->> 'missed', d -> 'row' ->> 'overlap', (d -> 'options')::jsonb, (d -> 'payload')::jsonb`;
const COLUMNS = 'name, queue_name, cron, every_ms, timezone, missed, overlap, options, payload';
const REPLACED = `queue_name = excluded.queue_name, cron = excluded.cron, every_ms = excluded.every_ms, timezone = excluded.timezone,
           missed = excluded.missed, overlap = excluded.overlap, options = excluded.options, payload = excluded.payload`;

/** Stores a schedule at run time: a new one, or another definition of one that is there. What code has defined stays known as such. */
export const storeSchedule = statement<{ readonly definition: string }, ScheduleRow>({
  name: 'store_schedule',
  text: ({ schedules }) => `insert into ${schedules} as schedule (${COLUMNS})
    select ${DEFINED}
      from (select $1::json as d) as given
    on conflict (name) do update
       set ${REPLACED}, edited_at = case when schedule.owner = 'code' then now() end
    returning ${SCHEDULE_JSON}`,
  values: (args) => [args.definition],
});

export interface DefineSchedulesArgs {
  /** A JSON array of definitions. */
  readonly definitions: string;
  /** Their hashes, in the same order. */
  readonly hashes: readonly string[];
}

/**
 * Takes over what the code of this process defines, where it is not what was taken over last: edits and pauses of such a schedule end.
 * In the order of their names, so that processes that start together do not wait for each other in circles.
 */
export const defineSchedules = statement<DefineSchedulesArgs, { readonly name: string }>({
  name: 'define_schedules',
  text: ({ schedules }) => `insert into ${schedules} as schedule (${COLUMNS}, owner, code_hash, code_seen_at)
    select ${DEFINED}, 'code', code_hash, now()
      from rows from (json_array_elements($1::json), unnest($2::text[])) as given(d, code_hash)
     order by 1
    on conflict (name) do update
       set ${REPLACED}, owner = 'code', code_hash = excluded.code_hash, code_seen_at = now(),
           edited_at = null, paused_at = null, pause_reason = null
     where schedule.code_hash is distinct from excluded.code_hash
    returning schedule.name`,
  values: (args) => [args.definitions, args.hashes],
});

export interface ConfirmSchedulesArgs {
  readonly names: readonly string[];
  readonly hashes: readonly string[];
}

/**
 * Says that the code of this process still defines these schedules. Answers with those that must be defined again: they are gone, or
 * were last taken over from code that no process runs any more.
 */
export const confirmSchedules = statement<ConfirmSchedulesArgs, { readonly name: string }>({
  name: 'confirm_schedules',
  text: ({ schedules }) => `with mine as materialized (
      select name, hash from unnest($1::text[], $2::text[]) as given(name, hash)
    ), stale as materialized (
      select schedule.name
        from mine join ${schedules} as schedule on schedule.name = mine.name and schedule.code_hash = mine.hash
       where schedule.code_seen_at < now() - interval '30 seconds'
         for update of schedule skip locked
    ), seen as (
      update ${schedules} as schedule set code_seen_at = now() from stale where schedule.name = stale.name
    )
    select mine.name
      from mine left join ${schedules} as schedule on schedule.name = mine.name
     where schedule.name is null or (schedule.code_hash is distinct from mine.hash and (schedule.code_hash is null or ${ORPHANED}))`,
  values: (args) => [args.names, args.hashes],
});
