import type { ScheduleFacts } from '../schedule/firing.js';
import { statement } from './statement.js';

/** A schedule as JSON text: whatever parsers of types an application has installed, it arrives as it is. */
export interface ScheduleRow {
  readonly schedule: string;
}

/** What {@link ScheduleRow} holds. Instants are ISO 8601. */
export interface ScheduleJson {
  readonly name: string;
  readonly queue: string;
  readonly cron: string | null;
  readonly everyMs: number | null;
  readonly timezone: string;
  readonly payload: unknown;
  readonly options: Readonly<Record<string, unknown>>;
  readonly missed: 'skip' | 'once' | 'all';
  readonly overlap: 'allow' | 'skip' | 'queue';
  readonly owner: 'code' | 'runtime';
  readonly edited: boolean;
  readonly orphaned: boolean;
  readonly pausedAt: string | null;
  readonly pauseReason: string | null;
  readonly nextRunAt: string | null;
  readonly lastDueAt: string | null;
  readonly lastRunAt: string | null;
  readonly lastJobId: string | null;
  readonly problem: string | null;
  readonly facts: ScheduleFacts;
}

/** No process has said for so long that its code defines a schedule: it is an orphan. */
const ORPHANED_AFTER = `interval '5 minutes'`;

/** Whether `schedule` is an orphan. */
export const ORPHANED = `(schedule.owner = 'code' and coalesce(schedule.code_seen_at, '-infinity') < now() - ${ORPHANED_AFTER})`;

/** The {@link ScheduleFacts} of `schedule`. */
export const SCHEDULE_FACTS = `json_build_object(
        'name', schedule.name, 'revision', schedule.revision::text, 'cron', schedule.cron, 'everyMs', schedule.every_ms,
        'timezone', schedule.timezone, 'anchorAt', schedule.anchor_at, 'missed', schedule.missed,
        'nextRunAt', nullif(schedule.next_run_at, '-infinity'), 'lastDueAt', schedule.last_due_at, 'now', now())`;

/** `schedule` as a {@link ScheduleRow}. */
export const SCHEDULE_JSON = `json_build_object(
      'name', schedule.name, 'queue', schedule.queue_name, 'cron', schedule.cron, 'everyMs', schedule.every_ms,
      'timezone', schedule.timezone, 'payload', schedule.payload, 'options', schedule.options,
      'missed', schedule.missed, 'overlap', schedule.overlap, 'owner', schedule.owner,
      'edited', schedule.edited_at is not null, 'orphaned', ${ORPHANED},
      'pausedAt', schedule.paused_at, 'pauseReason', schedule.pause_reason,
      'nextRunAt', case when schedule.paused_at is null and isfinite(schedule.next_run_at) then schedule.next_run_at end,
      'lastDueAt', schedule.last_due_at, 'lastRunAt', schedule.last_run_at, 'lastJobId', schedule.last_job_id::text,
      'problem', schedule.problem, 'facts', ${SCHEDULE_FACTS})::text as schedule`;

export interface ListSchedulesArgs {
  /** Only those of this queue. */
  readonly queue: string | undefined;
  /** Only those whose name comes after this one. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** Schedules by name, a page at a time. */
export const listSchedules = statement<ListSchedulesArgs, ScheduleRow>({
  name: 'list_schedules',
  text: ({ schedules }) => `select ${SCHEDULE_JSON}
      from ${schedules} as schedule
     where ($1::text is null or schedule.queue_name = $1::text)
       and ($2::text is null or schedule.name > $2::text)
     order by schedule.name
     limit $3::integer`,
  values: (args) => [args.queue, args.after, args.limit],
});

/** One schedule, or no row. */
export const getSchedule = statement<{ readonly name: string }, ScheduleRow>({
  name: 'get_schedule',
  text: ({ schedules }) =>
    `select ${SCHEDULE_JSON} from ${schedules} as schedule where schedule.name = $1::text`,
  values: (args) => [args.name],
});
