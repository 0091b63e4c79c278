import { CronTiming } from './cron-timing.js';
import { IntervalTiming } from './interval-timing.js';

/** When a schedule is due: instants of whole seconds, or of milliseconds for intervals. Asks no clock. */
export interface Timing {
  /** The first due time after an instant; `undefined` when there is none any more. */
  next(after: Date): Date | undefined;
  /** The due times after one instant up to and with another, in order; of more than `limit`, the latest. */
  between(after: Date, until: Date, limit: number): Date[];
}

/** What a {@link Timing} is made of. Either `cron` or `everyMs` is there. */
export interface TimingFacts {
  readonly cron: string | null;
  readonly everyMs: number | null;
  readonly timezone: string;
  /** Where the intervals begin. */
  readonly anchorAt: Date;
}

/** @throws Error for an expression that croner does not understand, or a time zone that this Node does not know */
export function timingOf({ cron, everyMs, timezone, anchorAt }: TimingFacts): Timing {
  if (cron !== null) return new CronTiming(cron, timezone);
  return new IntervalTiming(everyMs ?? Infinity, anchorAt);
}
