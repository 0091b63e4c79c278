/** When a schedule fires: by a cron expression, or at an interval. */
export type ScheduleTiming = { readonly cron: string } | { readonly everyMs: number };

/**
 * What becomes of due times that passed while nobody was there to fire them. `skip`: nothing. `once`: one job for all of them.
 * `all`: a job for each, up to the latest 1,000.
 */
export type MissedPolicy = 'skip' | 'once' | 'all';

/**
 * What happens when a schedule is due while an earlier job of it is still alive (waiting, running or to be retried). `allow`: it fires all the same.
 * `skip`: it does not. `queue`: it fires, and its job runs when the earlier one has ended.
 */
export type OverlapPolicy = 'allow' | 'skip' | 'queue';

/** A schedule, as the admin tells of it. */
export interface Schedule {
  readonly name: string;
  readonly queue: string;
  /** A cron expression of 5 or 6 fields; `undefined` for an interval. */
  readonly cron: string | undefined;
  readonly everyMs: number | undefined;
  /** IANA name of the time zone in which the expression is evaluated. */
  readonly timezone: string;
  readonly payload: unknown;
  /** Options of its jobs. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly missed: MissedPolicy;
  readonly overlap: OverlapPolicy;
  /** Where it was defined: by `@Scheduled()`, or at run time. */
  readonly owner: 'code' | 'runtime';
  /** Defined in code, but no running process has said so for five minutes. An orphan does not fire. */
  readonly orphaned: boolean;
  /** Since when it is paused; `undefined` when it is not. */
  readonly pausedAt: Date | undefined;
  readonly pauseReason: string | undefined;
  /** When it is due next; `undefined` while paused or not planned yet, and when it never is. */
  readonly nextRunAt: Date | undefined;
  /** The due time that was fired last. */
  readonly lastDueAt: Date | undefined;
  /** When that happened. */
  readonly lastRunAt: Date | undefined;
  readonly lastJobId: string | undefined;
  /** Why it cannot be planned: an expression that SQL has stored and nobody understands. */
  readonly problem: string | undefined;
}
