/**
 * What becomes of due times that passed while nobody was there to fire them. `skip`: nothing. `once`: one job for all of them, for the
 * latest. `all`: a job for each, for no more than the latest 1,000.
 */
export type MissedPolicy = 'skip' | 'once' | 'all';

/**
 * What happens when a schedule is due while an earlier job of it is still alive (waiting, running or to be retried). `allow`: it
 * fires all the same. `skip`: it does not. `queue`: it fires, and the job waits until the earlier ones have ended.
 */
export type OverlapPolicy = 'allow' | 'skip' | 'queue';

/** A schedule, as the admin tells of it. */
export interface Schedule {
  readonly name: string;
  readonly queue: string;
  /** A cron expression of 5 or 6 fields; `undefined` for an interval. */
  readonly cron: string | undefined;
  /** An interval in milliseconds; `undefined` for a cron expression. */
  readonly everyMs: number | undefined;
  /** In which the expression is evaluated. */
  readonly timezone: string;
  readonly payload: unknown;
  /** Options of its jobs. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly missed: MissedPolicy;
  readonly overlap: OverlapPolicy;
  /** Where it was defined: by `@Scheduled()`, or at run time. */
  readonly owner: 'code' | 'runtime';
  /** Defined in code, and changed at run time since. */
  readonly edited: boolean;
  /** Defined in code, but no process that runs has said so for five minutes. An orphan does not fire. */
  readonly orphaned: boolean;
  /** Since when it is paused; `undefined` when it is not. */
  readonly pausedAt: Date | undefined;
  readonly pauseReason: string | undefined;
  /** When it is due next; `undefined` while paused or not yet planned, and when it never is again. */
  readonly nextRunAt: Date | undefined;
  /** The due time that was dealt with last: fired, or skipped because of `overlap`. */
  readonly lastDueAt: Date | undefined;
  /** When it last fired. */
  readonly lastRunAt: Date | undefined;
  readonly lastJobId: string | undefined;
  /** Why it cannot be planned: what SQL has stored is not understood. */
  readonly problem: string | undefined;
}
