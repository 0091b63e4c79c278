import { Cron } from 'croner';
import type { Timing } from './timing.js';

/** The longest cron expression, in characters. */
export const MAX_CRON_LENGTH = 256;

const [SECONDS, MINUTES, HOURS] = [60, 60, 24];

/**
 * Due by a cron expression in a time zone.
 *
 * An expression that is due in every hour of the day follows time as it passes: an hour that is set forward is left out, one that comes
 * twice is run through twice. Every other expression names times of the day, and each of them is due exactly once on its day: one
 * that does not exist is due at the first instant after the gap (several of them: once), one that comes twice is due the first time.
 */
export class CronTiming implements Timing {
  readonly #cron: Cron;

  /** @throws Error when the expression or the time zone is not understood */
  constructor(expression: string, timezone: string) {
    // croner would read a date as something that happens once.
    if (expression.includes(':')) throw new TypeError('it is a date');
    this.#cron = new Cron(namingTimes(expression), {
      timezone,
      mode: '5-or-6-parts',
      fixedTimeRule: 'no-wildcard',
      paused: true,
    });
  }

  next(after: Date): Date | undefined {
    return this.#cron.nextRun(after) ?? undefined;
  }

  /** Backwards, so that it costs what it finds, however long ago `after` is. */
  between(after: Date, until: Date, limit: number): Date[] {
    const dueTimes: Date[] = [];
    let due = this.#before(new Date(until.getTime() + 1));
    while (due !== undefined && due > after && dueTimes.length < limit) {
      dueTimes.push(due);
      due = this.#before(due);
    }
    return dueTimes.toReversed();
  }

  #before(instant: Date): Date | undefined {
    return this.#cron.previousRuns(1, instant)[0];
  }
}

/** What is wrong with an expression in a time zone; `undefined` when nothing is. */
export function cronProblem(expression: string, timezone: string): string | undefined {
  try {
    return new CronTiming(expression, timezone).next(new Date()) === undefined
      ? 'it is never due'
      : undefined;
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, '');
  }
}

/** Whether this Node knows a time zone. */
export function isTimeZone(name: unknown): boolean {
  if (typeof name !== 'string' || name === '') return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}

/**
 * croner takes expressions with a wildcard or a step in seconds, minutes or hours for ones that follow time. Only those of every hour are
 * meant to: in the others wildcards and steps are written out as the times they stand for.
 */
function namingTimes(expression: string): string {
  const fields = expression.trim().split(/\s+/);
  const offset = fields.length - 5; // 1 with seconds; what has another number of fields is refused by croner
  const hours = valuesOf(fields[offset + 1], HOURS);
  if (offset < 0 || offset > 1 || hours === undefined) return expression;
  if (hours.length === HOURS) fields[offset + 1] = '*';
  else {
    fields[offset + 1] = hours.join(',');
    fields[offset] = writtenOut(fields[offset], MINUTES);
    if (offset === 1) fields[0] = writtenOut(fields[0], SECONDS);
  }
  return fields.join(' ');
}

function writtenOut(field: string | undefined, size: number): string {
  return valuesOf(field, size)?.join(',') ?? field ?? '';
}

/** The values a field stands for, in order; `undefined` for what is left to croner to refuse. */
function valuesOf(field: string | undefined, size: number): number[] | undefined {
  const values = new Set<number>();
  for (const part of (field ?? '').split(',')) {
    const found = /^(?:[*?]|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
    if (found === null) return undefined;
    const [, from, to, step] = found;
    if (step !== undefined && from !== undefined && to === undefined) return undefined;
    const first = Number(from ?? 0);
    const last = Number(to ?? from ?? size - 1);
    if (first > last || last >= size || Number(step ?? 1) < 1) return undefined;
    for (let value = first; value <= last; value += Number(step ?? 1)) values.add(value);
  }
  return [...values].toSorted((a, b) => a - b);
}
