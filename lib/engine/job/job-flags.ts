/** The bits of `jobs.flags`. */
export const JOB_FLAGS = Object.freeze({
  /** Others depend on it. */
  hasChildren: 1,
  /** Somebody wants its result. */
  keepResult: 2,
  /** To be cancelled: its handler is told, and it does not run again. */
  cancelled: 4,
  /** Results of its steps are stored. */
  hasSteps: 8,
  /** Counts in a batch. */
  inBatch: 16,
  /** Depends on others. */
  hasParents: 32,
});

/** How long the result of a job is kept that somebody asked for, where the queue keeps none: milliseconds. */
export const AWAITED_RESULT_MS = 3_600_000;
