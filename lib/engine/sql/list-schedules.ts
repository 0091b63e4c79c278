import { statement } from './statement.js';

/** A schedule as JSON text: whatever parsers of types an application has installed, it arrives as it is. */
export interface ScheduleRow {
  readonly schedule: string;
}

/** What {@link ScheduleRow} holds. */
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
  readonly orphaned: boolean;
  readonly pausedAt: string | null;
  readonly pauseReason: string | null;
  readonly nextRunAt: string | null;
  readonly lastDueAt: string | null;
  readonly lastRunAt: string | null;
  readonly lastJobId: string | null;
  readonly problem: string | null;
}

/** How long after its last sign of life in code a schedule is an orphan. */
export const ORPHANED_AFTER = `interval '5 minutes'`;

/** The row of a schedule as {@link ScheduleJson}; `schedule` is what the statement calls its table. */
export const SCHEDULE_JSON = `json_build_object(
      'name', schedule.name, 'queue', schedule.queue_name, 'cron', schedule.cron, 'everyMs', schedule.every_ms, 'timezone', schedule.timezone,
      'payload', schedule.payload, 'options', schedule.options, 'missed', schedule.missed, 'overlap', schedule.overlap, 'owner', schedule.owner,
      'orphaned', schedule.owner = 'code' and coalesce(schedule.code_seen_at < now() - ${ORPHANED_AFTER}, true),
      'pausedAt', schedule.paused_at, 'pauseReason', schedule.pause_reason,
      'nextRunAt', case when schedule.paused_at is null then nullif(schedule.next_run_at, 'infinity') end,
      'lastDueAt', schedule.last_due_at, 'lastRunAt', schedule.last_run_at, 'lastJobId', schedule.last_job_id::text,
      'problem', schedule.problem)::text as schedule`;

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
