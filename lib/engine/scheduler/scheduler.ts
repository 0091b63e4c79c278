import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import { type Firing, firingOf, MOST_MISSED, type ScheduleFacts } from '../schedule/firing.js';
import type { EncodedSchedule } from '../schedule/schedule-definition.js';
import {
  dueSchedules,
  type FiredRow,
  fireSchedules,
  nextSchedule,
  releaseScheduleJobs,
} from '../sql/fire-schedules.js';
import { confirmSchedules, defineSchedules } from '../sql/store-schedules.js';

/** Options of a {@link Scheduler}. */
export interface SchedulerOptions {
  readonly session: Session;
  readonly events: EventHub;
  /** The longest sleep: what no bell told of is found after this, in milliseconds. */
  readonly pollIntervalMs: number;
  /** What the code of this process defines. */
  readonly definitions: () => readonly EncodedSchedule[];
  /** A job of this queue has become ready. */
  readonly onReady: (queue: string) => void;
}

/** Schedules in one look; while there are more, it looks again. */
const LIMIT = 100;
/** The longest sleep while jobs wait for earlier ones of their schedule, which may end anywhere. */
const WAITING_SLEEP_MS = 500;
/** Something is due and somebody else holds it. */
const LOCKED_PAUSE_MS = 50;
/** Bells may come in heaps: one look for those of this time. */
const BELL_PAUSE_MS = 25;
const FAILURE_PAUSE_MS = 500;
/** How often this process says that its code still defines its schedules; well below the time after which they are orphans. */
const CONFIRM_MS = 60_000;

/**
 * Fires schedules when they are due, by the database's clock. Every process that works on queues does, without a leader: all of them wake, and
 * whoever comes first with a revision of a schedule fires it, see `fire_schedules()`.
 *
 * It sleeps until the next one is due; a bell, or a call in this process, tells of changes.
 */
export class Scheduler implements Service {
  readonly #wakeup = new Wakeup();
  readonly #stopped = new AbortController();
  #starting: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  /** Hashes of the definitions that this process has brought in. */
  readonly #defined = new Set<string>();
  /** When to confirm the definitions of this process. */
  #confirmAt = 0;

  constructor(private readonly options: SchedulerOptions) {}

  /** Resolves when the definitions of this process are stored. */
  start(): Promise<void> {
    return (this.#starting ??= this.#begin());
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wakeup.call();
    await this.#starting?.catch(() => {}); // who started it has the error
    await this.#running;
  }

  /** Schedules were changed or defined by this process. */
  changed(): void {
    this.#confirmAt = 0;
    this.#wakeup.call();
  }

  /** The bell of what is scheduled rang. */
  rang(): void {
    this.#wakeup.call();
  }

  async #begin(): Promise<void> {
    await this.#define(this.options.definitions());
    if (!this.#stopped.signal.aborted) this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#confirm();
        await this.#sleep(await this.#look());
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        reportFailure(this.options.events, 'schedule', error);
        this.#confirmAt = 0; // they may have become orphans meanwhile
        await pause(FAILURE_PAUSE_MS, this.#stopped.signal);
      }
    }
  }

  /** Fires what is due. Resolves with the time until something else is. */
  async #look(): Promise<number> {
    const { pollIntervalMs, session } = this.options;
    const [next] = await session.run(nextSchedule, undefined);
    if (next?.waiting === true) await this.#release();
    const longest = next?.waiting === true ? Math.min(WAITING_SLEEP_MS, pollIntervalMs) : pollIntervalMs;
    const dueMs = next?.in_ms ?? Infinity;
    if (dueMs > 0) return Math.min(Math.ceil(dueMs), longest);
    const rows = await session.run(dueSchedules, { limit: LIMIT });
    const moved = await this.#fireAll(rows.map((row) => JSON.parse(row.facts) as ScheduleFacts));
    return moved ? 0 : LOCKED_PAUSE_MS;
  }

  /** Whether this process has fired or planned any of them. */
  async #fireAll(schedules: readonly ScheduleFacts[]): Promise<boolean> {
    let moved = false;
    let batch: Firing[] = [];
    for (const [index, facts] of schedules.entries()) {
      batch.push(firingOf(facts));
      const jobs = batch.reduce((sum, { dueTimes }) => sum + dueTimes.length, 0);
      if (jobs < MOST_MISSED && index < schedules.length - 1) continue;
      moved = (await this.#fire(batch)) || moved;
      batch = [];
    }
    return moved;
  }

  async #fire(firings: readonly Firing[]): Promise<boolean> {
    const rows = await this.options.session.run(fireSchedules, { firings });
    const moved = new Set(rows.map((row) => row.schedule));
    for (const { name, problem } of firings)
      if (problem !== undefined && moved.has(name)) this.#warn(name, problem);
    for (const row of rows) this.#report(row);
    return rows.length > 0;
  }

  #report({ schedule, queue, due, job }: FiredRow): void {
    const { events, onReady } = this.options;
    if (due === null) return;
    const scheduledFor = new Date(due);
    if (job === null) return events.emit({ type: 'scheduleSkipped', schedule, queue, scheduledFor });
    events.emit({ type: 'enqueued', queue, jobId: job });
    events.emit({ type: 'scheduleFired', schedule, queue, jobId: job, scheduledFor });
    onReady(queue);
  }

  #warn(schedule: string, problem: string): void {
    const message = `schedule ${JSON.stringify(schedule)} cannot be planned and will not fire: ${problem}`;
    this.options.events.emit({ type: 'engineWarning', message });
  }

  async #release(): Promise<void> {
    const rows = await this.options.session.run(releaseScheduleJobs, undefined);
    for (const { queue } of rows) this.options.onReady(queue);
  }

  /** Says that the code of this process still defines its schedules, and brings back those that are gone or left behind by other code. */
  async #confirm(): Promise<void> {
    if (performance.now() < this.#confirmAt) return;
    this.#confirmAt = performance.now() + CONFIRM_MS;
    const definitions = this.options.definitions();
    if (definitions.length === 0) return;
    const names = definitions.map(({ name }) => name);
    const hashes = definitions.map(({ hash }) => hash);
    const rows = await this.options.session.run(confirmSchedules, { names, hashes });
    const missing = new Set(rows.map((row) => row.name));
    await this.#define(definitions.filter(({ name, hash }) => missing.has(name) || !this.#defined.has(hash)));
  }

  async #define(definitions: readonly EncodedSchedule[]): Promise<void> {
    if (definitions.length === 0) return;
    await this.options.session.run(defineSchedules, {
      definitions: `[${definitions.map(({ text }) => text).join(',')}]`,
      hashes: definitions.map(({ hash }) => hash),
    });
    for (const { hash } of definitions) this.#defined.add(hash);
  }

  async #sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    const called = await this.#wakeup.wait(ms);
    if (called) await pause(BELL_PAUSE_MS, this.#stopped.signal);
  }
}
