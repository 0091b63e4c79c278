import type { Firing } from '../schedule/firing.js';
import { ORPHANED, SCHEDULE_FACTS } from './list-schedules.js';
import { statement } from './statement.js';

/** How the schedules are. */
export interface NextScheduleRow {
  /** Milliseconds until the next one is due, or is to be planned; 0 and below: now. `null`: none ever is. */
  readonly in_ms: number | null;
  /** Whether jobs wait for earlier ones of their schedule. */
  readonly waiting: boolean;
}

/** The one question an idle scheduler asks. */
export const nextSchedule = statement<undefined, NextScheduleRow>({
  name: 'next_schedule',
  text: ({ scheduleJobs, schedules }) => `select (
        select (extract(epoch from greatest(schedule.next_run_at, now()) - now()) * 1000)::double precision
          from ${schedules} as schedule
         where schedule.paused_at is null and schedule.next_run_at < 'infinity' and not ${ORPHANED}
         order by schedule.next_run_at limit 1
      ) as in_ms,
      exists (select from ${scheduleJobs} where waiting) as waiting`,
  values: () => [],
});

/** A schedule that is due or to be planned. */
export interface DueScheduleRow {
  /** JSON text of its `ScheduleFacts`. */
  readonly facts: string;
}

/** Schedules that are due or to be planned, the most overdue first. Takes no lock: {@link fireSchedules} checks that nothing has changed. */
export const dueSchedules = statement<{ readonly limit: number }, DueScheduleRow>({
  name: 'due_schedules',
  text: ({ schedules }) => `select ${SCHEDULE_FACTS}::text as facts
      from ${schedules} as schedule
     where schedule.paused_at is null and schedule.next_run_at <= now() and not ${ORPHANED}
     order by schedule.next_run_at
     limit $1::integer`,
  values: (args) => [args.limit],
});

export interface FireSchedulesArgs {
  readonly firings: readonly Firing[];
}

/** One due time of a schedule that was fired, or one schedule that was only planned. */
export interface FiredRow {
  readonly schedule: string;
  readonly queue: string;
  /** ISO 8601; `null`: it was only planned. */
  readonly due: string | null;
  /** `null`: an earlier job is still alive, and `overlap` says to skip. */
  readonly job: string | null;
}

/**
 * Plans and fires, each schedule as a whole or not at all: its jobs and its move to the next due time are one transaction, done by the
 * first who comes with a revision. Others get no row for it.
 */
export const fireSchedules = statement<FireSchedulesArgs, FiredRow>({
  name: 'fire_schedules',
  text: ({
    schema,
  }) => `select fired.schedule, fired.queue, to_json(fired.due) #>> '{}' as due, fired.job::text as job
      from ${schema}.fire_schedules($1::json) as fired`,
  values: (args) => [JSON.stringify(args.firings.map(tupleOf))],
});

/** Lets waiting jobs run whose turn it is. */
export const releaseScheduleJobs = statement<undefined, { readonly queue: string }>({
  name: 'release_schedule_jobs',
  text: ({ schema }) => `select released.queue from ${schema}.release_schedule_jobs() as released`,
  values: () => [],
});

/** Name, revision, next due time, due times and problem, as `fire_schedules()` takes them. */
function tupleOf({ name, revision, next, dueTimes, problem }: Firing) {
  return { n: name, r: revision, t: next ?? 'infinity', d: dueTimes, p: problem };
}
