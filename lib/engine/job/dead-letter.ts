import type { JobError } from '../events.js';

/** Where a dead letter comes from: the job of which it is a copy. */
export interface DeadLetter {
  /** The queue that job failed in. */
  readonly queue: string;
  readonly id: string;
  /** How often it was attempted. */
  readonly attempts: number;
  /** Its last error, cut to a few lines. */
  readonly error: JobError | undefined;
  readonly failedAt: Date;
}

/** {@link DeadLetter} as the database writes it into the job's `meta`. */
export interface StoredDeadLetter {
  readonly queue: string;
  readonly id: string;
  readonly attempts: number;
  readonly error: JobError | null;
  /** ISO 8601. */
  readonly failedAt: string;
}

/** A dead letter as it is told. Plain SQL can store anything as one: what is none is `undefined`. */
export function deadLetterOf(stored: StoredDeadLetter | undefined): DeadLetter | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { queue, id, attempts, error, failedAt } = stored;
  return { queue, id, attempts, error: error ?? undefined, failedAt: new Date(failedAt) };
}
