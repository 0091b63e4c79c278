import { SCHEDULE_JSON, type ScheduleRow } from './list-schedules.js';
import { statement } from './statement.js';

export interface PauseScheduleArgs {
  readonly name: string;
  readonly reason: string | undefined;
}

/** Stops a schedule; one that is paused already stays so since then. */
export const pauseSchedule = statement<PauseScheduleArgs, ScheduleRow>({
  name: 'pause_schedule',
  text: ({ schedules }) => `update ${schedules} as schedule
       set paused_at = coalesce(schedule.paused_at, now()), pause_reason = $2::text
     where schedule.name = $1::text
    returning ${SCHEDULE_JSON}`,
  values: (args) => [args.name, args.reason],
});

/** Lets a schedule go on, from now on. */
export const resumeSchedule = statement<{ readonly name: string }, ScheduleRow>({
  name: 'resume_schedule',
  text: ({ schedules }) => `update ${schedules} as schedule
       set paused_at = null, pause_reason = null
     where schedule.name = $1::text
    returning ${SCHEDULE_JSON}`,
  values: (args) => [args.name],
});

/** Removes a schedule; its jobs stay. */
export const deleteSchedule = statement<{ readonly name: string }, { readonly name: string }>({
  name: 'delete_schedule',
  text: ({ schedules }) => `delete from ${schedules} where name = $1::text returning name`,
  values: (args) => [args.name],
});

/** The job of a schedule that was fired by hand. */
export interface TriggeredRow {
  /** `null`: an earlier one is still alive, and `overlap` says to skip. */
  readonly job: string | null;
  readonly queue: string;
  /** ISO 8601. */
  readonly now: string;
}

/** Fires a schedule now. No row: there is none of this name. */
export const triggerSchedule = statement<{ readonly name: string }, TriggeredRow>({
  name: 'trigger_schedule',
  text: ({
    schedules,
    schema,
  }) => `select ${schema}.trigger_schedule(schedule.name)::text as job, schedule.queue_name as queue,
           to_json(clock_timestamp()) #>> '{}' as now
      from ${schedules} as schedule where schedule.name = $1::text`,
  values: (args) => [args.name],
});

/** What the database's clock says, as ISO 8601. */
export const databaseClock = statement<undefined, { readonly now: string }>({
  name: 'database_clock',
  text: () => `select to_json(now()) #>> '{}' as now`,
  values: () => [],
});
