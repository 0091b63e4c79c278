import type { MissedPolicy } from './schedule.js';
import { type Timing, timingOf } from './timing.js';

/** What decides about a schedule, as the database tells it. Instants are ISO 8601. */
export interface ScheduleFacts {
  readonly name: string;
  /** Of the state that these facts are; a bigint as a string. */
  readonly revision: string;
  readonly cron: string | null;
  readonly everyMs: number | null;
  readonly timezone: string;
  readonly anchorAt: string;
  readonly missed: MissedPolicy;
  /** `null`: to be planned. */
  readonly nextRunAt: string | null;
  /** The latest due time that is dealt with. */
  readonly lastDueAt: string | null;
  /** The database's clock. */
  readonly now: string;
}

/** What is to be done about a schedule. */
export interface Firing {
  readonly name: string;
  readonly revision: string;
  /** A job for each, in order. */
  readonly dueTimes: readonly Date[];
  /** When to look again; `undefined`: never. */
  readonly next: Date | undefined;
  /** Why it cannot be planned. */
  readonly problem: string | undefined;
}

/** `missed: 'all'` fires no more than this many at once: the latest. */
export const MOST_MISSED = 1_000;

/** A due time that is later than this has been missed, and is not just late, in milliseconds. */
export const MISSED_AFTER_MS = 10_000;

/** Decides, from nothing but facts. A schedule that is not due yet is planned again and comes out the same. */
export function firingOf(facts: ScheduleFacts): Firing {
  const { name, revision, cron, everyMs, timezone } = facts;
  try {
    const timing = timingOf({ cron, everyMs, timezone, anchorAt: new Date(facts.anchorAt) });
    const dueTimes = dueTimesOf(timing, facts);
    const next = timing.next(laterOf(facts.now, facts.lastDueAt));
    return { name, revision, dueTimes, next, problem: undefined };
  } catch (error) {
    // Options are checked; only what SQL has stored comes here, or a time zone of another process's newer data.
    return { name, revision, dueTimes: [], next: undefined, problem: (error as Error).message };
  }
}

function dueTimesOf(timing: Timing, { missed, nextRunAt, now }: ScheduleFacts): readonly Date[] {
  if (nextRunAt === null) return [];
  const [first, until] = [new Date(nextRunAt), new Date(now)];
  if (first > until) return [];
  switch (missed) {
    case 'all':
      return [first, ...timing.between(first, until, MOST_MISSED)].slice(-MOST_MISSED);
    case 'once':
      return [latestOf(timing, first, until)];
    case 'skip':
      return [latestOf(timing, first, until)].filter(
        (due) => until.getTime() - due.getTime() <= MISSED_AFTER_MS,
      );
  }
}

/** The first is due whatever the timing says: it may have been changed since. */
function latestOf(timing: Timing, first: Date, until: Date): Date {
  return timing.between(first, until, 1).at(-1) ?? first;
}

function laterOf(now: string, lastDueAt: string | null): Date {
  const [one, other] = [new Date(now), new Date(lastDueAt ?? 0)];
  return one > other ? one : other;
}
