import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import { nextDue, promoteJobs } from '../sql/promote-jobs.js';

/** Options of a {@link Promoter}. */
export interface PromoterOptions {
  readonly session: Session;
  readonly events: EventHub;
  /** Jobs of this queue have become ready. */
  readonly onReady: (queue: string) => void;
  /** Asks for the bell of newly scheduled jobs. False when there is none. */
  readonly arm: () => Promise<boolean>;
  readonly disarm: () => Promise<void>;
}

const LIMIT = 500;
/** The longest sleep when the bell of scheduled jobs rings. */
const LONGEST_SLEEP_MS = 30_000;
/** The longest sleep when it does not. */
const LONGEST_UNRUNG_MS = 500;
/** For so long after its bells came too fast it is left disarmed, and the database is asked instead. */
const QUIET_MS = 100;
const TOO_MANY_BELLS = 5;
/** Committed a moment ago and not seen by the last look: asked for once more before the long sleep. */
const SECOND_LOOK_MS = 50;
/** A due job that cannot be promoted is locked by somebody: tried again after this. */
const LOCKED_PAUSE_MS = 50;
const FAILURE_PAUSE_MS = 500;

/**
 * Moves scheduled jobs into the ready order when their time has come, by the database's clock: it sleeps until the next one is due, and a bell or
 * a publisher in this process tells it of an earlier one.
 */
export class Promoter implements Service {
  readonly #wakeup = new Wakeup();
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #armed = false;
  #bells = 0;
  #sleepsUntil = 0;
  #looks = 0;
  /** When the next job is due of which somebody said so: a look that is under way may not have seen it. */
  #announcedAt = Infinity;
  /** Looks in a row that found something due and could promote nothing. */
  #inVain = 0;

  constructor(private readonly options: PromoterOptions) {}

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wakeup.call();
    await this.#running;
  }

  /** A job is stored that will be due in so many milliseconds. */
  scheduled(inMs: number): void {
    this.#announcedAt = Math.min(this.#announcedAt, performance.now() + inMs);
    if (this.#announcedAt < this.#sleepsUntil) this.#look();
  }

  /** The bell of scheduled jobs rang. */
  rang(): void {
    this.#bells += 1;
    this.#look();
  }

  /** The listener is new: nothing is armed. */
  bellLost(): void {
    this.#armed = false;
    this.#look();
  }

  #look(): void {
    this.#looks = 0;
    this.#wakeup.call();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        const dueMs = await this.#promote();
        await this.#sleep(dueMs);
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        reportFailure(this.options.events, 'promote', error);
        await pause(FAILURE_PAUSE_MS, this.#stopped.signal);
      }
    }
  }

  /** Promotes what is due. Resolves with the time until something else is. */
  async #promote(): Promise<number> {
    const { session, onReady } = this.options;
    if (this.#announcedAt <= performance.now()) this.#announcedAt = Infinity;
    let promoted: number;
    do {
      const rows = await session.run(promoteJobs, { limit: LIMIT });
      for (const row of rows) onReady(row.queue_name);
      promoted = rows.reduce((sum, row) => sum + row.count, 0);
    } while (promoted >= LIMIT);
    const [next] = await session.run(nextDue, undefined);
    const dueMs = next?.in_ms ?? Infinity;
    this.#inVain = promoted === 0 && dueMs <= 0 ? this.#inVain + 1 : 0;
    return dueMs;
  }

  async #sleep(dueMs: number): Promise<void> {
    if (this.#bells >= TOO_MANY_BELLS) return this.#calm();
    if (!this.#armed && dueMs > 0 && (this.#armed = await this.options.arm())) return; // look once more for what came before the bell
    const sleepMs = this.#inVain > 1 ? LOCKED_PAUSE_MS : this.#sleepMs(dueMs);
    this.#looks += 1;
    this.#sleepsUntil = performance.now() + sleepMs;
    const called = await this.#wakeup.wait(sleepMs);
    this.#sleepsUntil = 0;
    if (!called) this.#bells = 0;
  }

  #sleepMs(dueMs: number): number {
    const bound = this.#armed ? (this.#looks === 0 ? SECOND_LOOK_MS : LONGEST_SLEEP_MS) : LONGEST_UNRUNG_MS;
    return Math.max(0, Math.ceil(Math.min(dueMs, this.#announcedAt - performance.now(), bound)));
  }

  async #calm(): Promise<void> {
    this.#bells = 0;
    this.#armed = false;
    await this.options.disarm();
    await pause(QUIET_MS, this.#stopped.signal);
  }
}
