import { types } from 'node:util';
import type { StatementPool } from '../connection/statement-pool.js';
import { UnknownScheduleError } from '../errors.js';
import type { EventHub } from '../events.js';
import type { AnyQueue } from '../job/queue.js';
import type { QueueRules } from '../job/queue-definition.js';
import { queueNameOf } from '../job/queue-name.js';
import { checkSchedule } from '../option-checks.js';
import { check, integer, problemsOf, throwProblems } from '../option-checker.js';
import { firingOf, type ScheduleFacts } from '../schedule/firing.js';
import type { Schedule } from '../schedule/schedule.js';
import {
  checkSchedulePayload,
  encodeSchedule,
  sealSchedule,
  SCHEDULE_DEFAULTS,
  type ScheduleDefinition,
} from '../schedule/schedule-definition.js';
import { timingOf } from '../schedule/timing.js';
import {
  databaseClock,
  deleteSchedule,
  pauseSchedule,
  resumeSchedule,
  triggerSchedule,
} from '../sql/change-schedule.js';
import { fireSchedules } from '../sql/fire-schedules.js';
import { getSchedule, listSchedules, type ScheduleJson, type ScheduleRow } from '../sql/list-schedules.js';
import { storeSchedule } from '../sql/store-schedules.js';

/** Options of a {@link ScheduleAdmin}. */
export interface ScheduleAdminOptions {
  readonly statements: StatementPool;
  readonly events: EventHub;
  readonly maxPayloadBytes: number;
  /** What is known here of a queue that is given by its name. */
  readonly rulesOf: (queue: string) => QueueRules | undefined;
  /** A job of this queue is stored. */
  readonly onReady: (queue: string) => void;
  /** Those who fire schedules are to look again. */
  readonly onSchedulesChanged: () => void;
}

/** Which schedules {@link ScheduleAdmin.list} tells of. */
export interface ScheduleFilter {
  /** Only those of this queue. */
  readonly queue?: string;
  /** Only those whose name comes after this one: the last name of the page before. */
  readonly after?: string;
  /** At most so many, 1 to 10_000. @default 1_000 */
  readonly limit?: number;
}

/** Options of {@link ScheduleAdmin.preview}. */
export interface PreviewOptions {
  /** How many due times, 1 to 1_000. @default 5 */
  readonly count?: number;
  /** Those after this instant. @default now, by the database's clock */
  readonly from?: Date;
}

const PAGE = 1_000;
const LARGEST_PAGE = 10_000;
const PREVIEWED = 5;
const MOST_PREVIEWED = 1_000;

/** Schedules: to look at, to define, to stop and to fire by hand. Works in any process; those that work on queues do the firing. */
export class ScheduleAdmin {
  constructor(private readonly options: ScheduleAdminOptions) {}

  /** In the order of their names. */
  async list(filter: ScheduleFilter = {}): Promise<Schedule[]> {
    throwProblems('schedules.list()', problemsOf(filter, FILTER_CHECKS));
    const { queue, after, limit = PAGE } = filter;
    const rows = await this.options.statements.run('schedules.list', listSchedules, { queue, after, limit });
    return rows.map(scheduleOf);
  }

  /** `undefined` when there is none of this name. */
  async get(name: string): Promise<Schedule | undefined> {
    const [row] = await this.options.statements.run('schedules.get', getSchedule, { name });
    return row === undefined ? undefined : scheduleOf(row);
  }

  /**
   * Stores a schedule: a new one, or another definition of one that is there, as a whole. One that is paused stays paused. What is
   * defined in code may be changed too, until the code defines it otherwise.
   *
   * @throws InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError before anything is sent
   */
  async upsert<Queue extends AnyQueue>(definition: ScheduleDefinition<Queue>): Promise<Schedule> {
    checkSchedule('schedules.upsert()', definition);
    await checkSchedulePayload(definition);
    const { maxPayloadBytes, rulesOf } = this.options;
    const rules = rulesOf(queueNameOf(definition.queue ?? definition.name));
    const encoded = encodeSchedule(definition, maxPayloadBytes, rules);
    const { text } = await sealSchedule(definition, encoded, rules);
    const rows = await this.options.statements.run('schedules.upsert', storeSchedule, { definition: text });
    return this.#planned(definition.name, rows);
  }

  /** It does not fire until it is resumed; due times in between are gone. Jobs it has fired go on. @throws UnknownScheduleError */
  async pause(name: string, options: { readonly reason?: string } = {}): Promise<Schedule> {
    throwProblems('schedules.pause()', problemsOf(options, PAUSE_CHECKS));
    const args = { name, reason: options.reason };
    const rows = await this.options.statements.run('schedules.pause', pauseSchedule, args);
    return this.#planned(name, rows);
  }

  /** It goes on, from now on. @throws UnknownScheduleError */
  async resume(name: string): Promise<Schedule> {
    const rows = await this.options.statements.run('schedules.resume', resumeSchedule, { name });
    return this.#planned(name, rows);
  }

  /**
   * Fires it now, also while it is paused; what is due when does not change. Answers with the id of the job, `undefined` when an
   * earlier one is still alive and `overlap` is `skip`.
   *
   * @throws UnknownScheduleError
   */
  async trigger(name: string): Promise<string | undefined> {
    const [row] = await this.options.statements.run('schedules.trigger', triggerSchedule, { name });
    if (row === undefined) throw new UnknownScheduleError(name);
    const { job, queue, now } = row;
    const { events, onReady } = this.options;
    const scheduledFor = new Date(now);
    if (job === null) {
      events.emit({ type: 'scheduleSkipped', schedule: name, queue, scheduledFor });
      return undefined;
    }
    events.emit({ type: 'enqueued', queue, jobId: job });
    events.emit({ type: 'scheduleFired', schedule: name, queue, jobId: job, scheduledFor });
    onReady(queue);
    return job;
  }

  /**
   * The next due times, of a schedule or of a definition that is not stored.
   *
   * @throws UnknownScheduleError, InvalidOptionsError
   */
  async preview(schedule: string | ScheduleDefinition, options: PreviewOptions = {}): Promise<Date[]> {
    throwProblems('schedules.preview()', problemsOf(options, PREVIEW_CHECKS));
    const facts =
      typeof schedule === 'string' ? await this.#factsOf(schedule) : await this.#factsFor(schedule);
    const timing = timingOf({ ...facts, anchorAt: new Date(facts.anchorAt) });
    const dueTimes: Date[] = [];
    for (
      let due = timing.next(options.from ?? new Date(facts.now));
      due !== undefined && dueTimes.length < (options.count ?? PREVIEWED);
      due = timing.next(due)
    )
      dueTimes.push(due);
    return dueTimes;
  }

  /**
   * Removes it; its jobs stay. Answers whether there was one. One that running code defines comes back within a minute: pause it instead.
   */
  async delete(name: string): Promise<boolean> {
    const rows = await this.options.statements.run('schedules.delete', deleteSchedule, { name });
    return rows.length > 0;
  }

  /** Plans what was changed, so that the answer says when it is due; if the process dies before, whoever fires schedules does it. */
  async #planned(name: string, [row]: readonly ScheduleRow[]): Promise<Schedule> {
    if (row === undefined) throw new UnknownScheduleError(name);
    const schedule = scheduleOf(row);
    const { facts } = JSON.parse(row.schedule) as ScheduleJson;
    if (schedule.pausedAt !== undefined || facts.nextRunAt !== null) return schedule;
    const firing = firingOf(facts);
    await this.options.statements.run('schedules.plan', fireSchedules, { firings: [firing] });
    this.options.onSchedulesChanged();
    return { ...schedule, nextRunAt: firing.next, problem: firing.problem };
  }

  async #factsOf(name: string): Promise<ScheduleFacts> {
    const [row] = await this.options.statements.run('schedules.preview', getSchedule, { name });
    if (row === undefined) throw new UnknownScheduleError(name);
    return (JSON.parse(row.schedule) as ScheduleJson).facts;
  }

  /** An interval would begin now. */
  async #factsFor(definition: ScheduleDefinition) {
    checkSchedule('schedules.preview()', definition);
    const [row] = await this.options.statements.run('schedules.preview', databaseClock, undefined);
    const now = row?.now ?? '';
    const { cron = null, everyMs = null, timezone = SCHEDULE_DEFAULTS.timezone } = definition;
    return { cron, everyMs, timezone, anchorAt: now, now };
  }
}

const text = check('a text', (value) => typeof value === 'string');
const FILTER_CHECKS = { queue: text, after: text, limit: integer(1, LARGEST_PAGE) };
const PAUSE_CHECKS = { reason: text };
const PREVIEW_CHECKS = {
  count: integer(1, MOST_PREVIEWED),
  from: check('a valid Date', (value) => types.isDate(value) && !Number.isNaN(value.getTime())),
};

function scheduleOf(row: ScheduleRow): Schedule {
  const { facts: _, ...json } = JSON.parse(row.schedule) as ScheduleJson;
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
