/** Where a job comes from that was enqueued again by `reprocess`: the kept job of which it is a copy. */
export interface Reprocessed {
  readonly id: string;
  /** How that one ended. */
  readonly state: 'completed' | 'failed' | 'cancelled';
  /** How often it was attempted. */
  readonly attempts: number;
  readonly finishedAt: Date;
}

/** {@link Reprocessed} as the database writes it into the job's `meta`; the time in ISO 8601. */
export type StoredReprocessed = Omit<Reprocessed, 'finishedAt'> & { readonly finishedAt: string };

/** As it is told. Plain SQL can store anything as one: what is none is `undefined`. */
export function reprocessedOf(stored: StoredReprocessed | undefined): Reprocessed | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { id, state, attempts, finishedAt } = stored;
  return { id, state, attempts, finishedAt: new Date(finishedAt) };
}
