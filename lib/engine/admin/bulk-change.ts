import type { StatementPool } from '../connection/statement-pool.js';
import { type CountRow, type FindArgs, type FoundRow, newestJob } from '../sql/find-jobs.js';
import type { Statement } from '../sql/statement.js';

/** What a change of many jobs has done, or would do. */
export interface BulkResult {
  /** How many jobs. */
  readonly count: number;
  /** The first 100 of their ids. */
  readonly ids: readonly string[];
  /** Whether others match, beyond the `limit`. */
  readonly more: boolean;
}

/** A job that matches, with the token under which it may be changed. */
export type FoundJob = FoundRow;

/** The statements that find jobs of a kind. */
export interface Finders<Args extends FindArgs = FindArgs> {
  readonly find: Statement<Args, FoundRow>;
  readonly count: Statement<Args, CountRow>;
  /** The highest id there is. @default of the jobs that have not ended or have failed */
  readonly newest?: typeof newestJob;
}

/** Which jobs are meant, as the statements that find them take it. */
export type Match<Args extends FindArgs> = Omit<Args, 'after' | 'until' | 'limit'>;

/** How a change of many jobs is followed, and stopped. */
export interface BulkControl {
  /** Part by part: so many jobs have been changed until now. */
  readonly onPart?: (changed: number) => void | Promise<void>;
  /** When it aborts, the next part is not begun; `more` says whether anything was left. */
  readonly signal?: AbortSignal;
}

/** Jobs in one statement. */
const CHUNK = 500;
/** How many ids are told. */
export const TOLD_IDS = 100;

/**
 * Goes through the jobs that match, in the order of their ids and up to the newest one there was at the beginning, and changes them part by
 * part, a statement and a transaction each.
 */
export class BulkChange<Args extends FindArgs = FindArgs> {
  constructor(
    private readonly operation: string,
    private readonly statements: StatementPool,
    private readonly finders: Finders<Args>,
    private readonly match: Match<Args>,
  ) {}

  /** @param apply changes the jobs it is given, as far as they are as they were found; answers with the ids of those it has changed */
  async run(
    {
      dryRun = false,
      limit,
      ...control
    }: BulkControl & { readonly dryRun?: boolean; readonly limit?: number },
    apply: (found: readonly FoundJob[]) => Promise<readonly string[]>,
  ): Promise<BulkResult> {
    const [newest] = await this.statements.run(this.operation, this.finders.newest ?? newestJob, undefined);
    const until = newest?.id ?? null;
    if (until === null) return { count: 0, ids: [], more: false };
    return dryRun ? this.#counted(until, limit) : this.#changed(until, limit, apply, control);
  }

  /** Counts one more than are asked for, to know whether there are more. */
  async #counted(until: string, limit: number | undefined): Promise<BulkResult> {
    const range = this.#range('0', until, limit === undefined ? null : limit + 1);
    const [row] = await this.statements.run(this.operation, this.finders.count, range);
    const count = Number(row?.count ?? 0);
    const most = limit ?? Infinity;
    return { count: Math.min(count, most), ids: (row?.ids ?? []).slice(0, most), more: count > most };
  }

  async #changed(
    until: string,
    limit = Infinity,
    apply: (found: readonly FoundJob[]) => Promise<readonly string[]>,
    { onPart, signal }: BulkControl,
  ): Promise<BulkResult> {
    const ids: string[] = [];
    let count = 0;
    let after = '0';
    for (;;) {
      const wanted = Math.min(CHUNK, limit - count);
      const found = await this.#find(after, until, Math.max(wanted, 1));
      if (found.length === 0 || wanted === 0 || signal?.aborted === true)
        return { count, ids, more: found.length > 0 };
      const changed = await apply(found);
      count += changed.length;
      ids.push(...changed.slice(0, TOLD_IDS - ids.length));
      after = (found.at(-1) as FoundJob).id;
      await onPart?.(count);
      if (found.length < wanted) return { count, ids, more: false };
    }
  }

  #find(after: string, until: string, limit: number): Promise<FoundJob[]> {
    return this.statements.run(this.operation, this.finders.find, this.#range(after, until, limit));
  }

  #range(after: string, until: string, limit: number | null): Args {
    return { ...this.match, after, until, limit } as unknown as Args; // the compiler cannot put an Omit together again
  }
}
