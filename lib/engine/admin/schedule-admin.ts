import type { StatementPool } from '../connection/statement-pool.js';
import type { Schedule } from '../schedule/schedule.js';
import { getSchedule, listSchedules, type ScheduleJson, type ScheduleRow } from '../sql/list-schedules.js';

/** Options of a {@link ScheduleAdmin}. */
export interface ScheduleAdminOptions {
  readonly statements: StatementPool;
}

/** Which schedules {@link ScheduleAdmin.list} tells of. */
export interface ScheduleFilter {
  /** Only those of this queue. */
  readonly queue?: string;
  /** Only those whose name comes after this one: the last name of the page before. */
  readonly after?: string;
  /** At most so many. @default 1_000 */
  readonly limit?: number;
}

const PAGE = 1_000;

/** Schedules: to look at, to define, to stop and to fire by hand. */
export class ScheduleAdmin {
  constructor(private readonly options: ScheduleAdminOptions) {}

  /** By name. */
  async list(filter: ScheduleFilter = {}): Promise<Schedule[]> {
    const { queue, after, limit = PAGE } = filter;
    const rows = await this.options.statements.run('schedules.list', listSchedules, { queue, after, limit });
    return rows.map(scheduleOf);
  }

  /** `undefined` when there is none of this name. */
  async get(name: string): Promise<Schedule | undefined> {
    const [row] = await this.options.statements.run('schedules.get', getSchedule, { name });
    return row === undefined ? undefined : scheduleOf(row);
  }
}

function scheduleOf(row: ScheduleRow): Schedule {
  const json = JSON.parse(row.schedule) as ScheduleJson;
  return {
    ...json,
    cron: json.cron ?? undefined,
    everyMs: json.everyMs ?? undefined,
    pausedAt: dateOf(json.pausedAt),
    pauseReason: json.pauseReason ?? undefined,
    nextRunAt: dateOf(json.nextRunAt),
    lastDueAt: dateOf(json.lastDueAt),
    lastRunAt: dateOf(json.lastRunAt),
    lastJobId: json.lastJobId ?? undefined,
    problem: json.problem ?? undefined,
  };
}

function dateOf(iso: string | null): Date | undefined {
  return iso === null ? undefined : new Date(iso);
}
