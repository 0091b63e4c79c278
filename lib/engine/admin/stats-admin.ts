import type { StatementPool } from '../connection/statement-pool.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { quantileOf } from '../job/time-buckets.js';
import { check, listOf, problemsOf, throwProblems, type Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { type OverviewJson, readOverview, readSeries, type SeriesRow } from '../sql/stats.js';
import { takeSnapshot } from '../sql/take-snapshot.js';
import { overviewOf, type Overview } from './overview.js';

/** How long jobs took: half, 95 and 99 of a hundred took less, in milliseconds. `undefined`: none was counted. */
export interface Quantiles {
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
}

/** What has happened within a span of time, and what the queues held at its worst. */
export interface SeriesPoint {
  /** Its beginning. */
  readonly at: Date;
  readonly completed: number;
  /** For good. */
  readonly failed: number;
  readonly retried: number;
  readonly cancelled: number;
  /** From when a job could run until it did. */
  readonly wait: Quantiles;
  readonly run: Quantiles;
  /** `undefined`: nobody has looked. */
  readonly ready: number | undefined;
  readonly running: number | undefined;
  readonly scheduled: number | undefined;
  /** Failed jobs that were there. */
  readonly dead: number | undefined;
  readonly oldestReadyMs: number | undefined;
}

export interface SeriesOptions {
  /** @default all queues together */
  readonly queue?: AnyQueue | readonly AnyQueue[];
  /** @default an hour before `to` */
  readonly from?: Date;
  /** @default now */
  readonly to?: Date;
  /** Length of a point, a multiple of a minute; at most 2,000 points. @default so that there are about 120 */
  readonly stepMs?: number;
}

export interface OverviewOptions {
  /** Looks at the queues anew when nobody has for so many milliseconds; `Infinity`: does not. @default 5_000 */
  readonly maxAgeMs?: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Numbers by the minute are kept for longer than this. */
const MINUTES_KEPT_MS = 6.5 * 24 * HOUR_MS;
const POINTS = 120;
const MOST_POINTS = 2_000;
const MAX_AGE_MS = 5_000;

const date = check('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime()));
const SERIES_CHECKS = {
  queue: (value, at, problems) =>
    (Array.isArray(value) ? listOf(queueReference, { max: 1_000 }) : queueReference)(value, at, problems),
  from: date,
  to: date,
  stepMs: check(
    'a multiple of 60000',
    (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) % MINUTE_MS === 0,
  ),
} satisfies Checks;
const OVERVIEW_CHECKS = {
  maxAgeMs: check('milliseconds', (value) => typeof value === 'number' && value >= 0),
} satisfies Checks;

/**
 * Numbers: what the queues hold, and what has happened to their jobs, by the minute for seven days and by the hour for ninety. Workers write
 * them down every ten seconds; nothing here counts jobs, but for a bounded look at each queue from time to time.
 */
export class StatsAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** All queues at a glance, the last hour minute by minute, and what looks wrong. */
  async overview(options: OverviewOptions = {}): Promise<Overview> {
    throwProblems('stats.overview', problemsOf(options, OVERVIEW_CHECKS));
    const { statements } = this.options;
    const { maxAgeMs = MAX_AGE_MS } = options;
    if (maxAgeMs !== Infinity)
      await takeSnapshot((statement, args) => statements.run('stats.overview', statement, args), maxAgeMs);
    const [row] = await statements.run('stats.overview', readOverview, undefined);
    return overviewOf(JSON.parse(row?.overview ?? '{}') as OverviewJson);
  }

  /**
   * Points of a chart, oldest first; a point in which nothing happened and nobody looked is left out.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async series(options: SeriesOptions = {}): Promise<SeriesPoint[]> {
    throwProblems('stats.series', problemsOf(options, SERIES_CHECKS));
    const { queue, to = new Date(), from = new Date(to.getTime() - HOUR_MS) } = options;
    const spanMs = to.getTime() - from.getTime();
    if (spanMs <= 0) throwProblems('stats.series', ['from: expected to be before to']);
    const stored = from.getTime() < Date.now() - MINUTES_KEPT_MS ? HOUR_MS : MINUTE_MS;
    const stepMs = roundedUp(options.stepMs ?? spanMs / POINTS, stored);
    if (spanMs / stepMs > MOST_POINTS)
      throwProblems('stats.series', [
        `stepMs: expected at most ${MOST_POINTS} points, got ${Math.ceil(spanMs / stepMs)}`,
      ]);
    const rows = await this.options.statements.run('stats.series', readSeries, {
      step: stored / MINUTE_MS,
      queues: queue === undefined ? null : namesOf(queue),
      from: new Date(Math.floor(from.getTime() / stepMs) * stepMs),
      to,
      seconds: stepMs / 1_000,
    });
    return rows.map(pointOf);
  }
}

function namesOf(queue: AnyQueue | readonly AnyQueue[]): string[] {
  return [queue].flat().map((each) => queueNameOf(each));
}

function roundedUp(ms: number, unit: number): number {
  return Math.max(1, Math.ceil(ms / unit)) * unit;
}

function pointOf(row: SeriesRow): SeriesPoint {
  return {
    at: new Date(row.at * 1_000),
    completed: Number(row.completed),
    failed: Number(row.failed),
    retried: Number(row.retried),
    cancelled: Number(row.cancelled),
    wait: quantilesOf(row.wait),
    run: quantilesOf(row.run),
    ready: row.ready ?? undefined,
    running: row.running ?? undefined,
    scheduled: row.scheduled ?? undefined,
    dead: row.dead ?? undefined,
    oldestReadyMs: row.oldest_ms ?? undefined,
  };
}

function quantilesOf(texts: readonly string[]): Quantiles {
  const counts = texts.map(Number);
  return { p50: quantileOf(counts, 0.5), p95: quantileOf(counts, 0.95), p99: quantileOf(counts, 0.99) };
}
