import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { databaseErrorOf, isConnectionFailure, leavesOutcomeUnknown } from '../connection/pg-errors.js';
import { checkOut, type ClientSource } from '../connection/pool.js';
import { LeaseLostError } from '../errors.js';
import type { ClaimedJob } from '../job/job.js';
import { pause } from '../lifecycle/pause.js';
import {
  beginWait,
  type BeginWaitArgs,
  loadSteps,
  parkJob,
  type ParkedRow,
  type StepRow,
  storeStep,
  type WaitRow,
} from '../sql/durable-steps.js';
import { leaveJob } from '../sql/payload-versions.js';
import type { Statement } from '../sql/statement.js';
import type { Tables } from '../sql/tables.js';
import type { JobTransactions } from './job-transactions.js';

/** Options of a {@link StepStore}. */
export interface StepStoreOptions {
  readonly pool: ClientSource;
  readonly tables: Tables;
  readonly transactions: JobTransactions;
  /** The most that the JSON text of a result may take, in bytes. */
  readonly maxResultBytes: number;
  /** A job is parked that is to run again in so many milliseconds. */
  readonly onScheduled: (inMs: number) => void;
  /** A job of this queue was parked and is ready again. */
  readonly onReady: (queue: string) => void;
}

/** A statement without an answer for this long counts as lost, and its connection with it. */
const QUERY_TIMEOUT_MS = 10_000;
/** Between two tries of a statement whose connection failed. */
const RETRY_MS = 100;

/** A statement of ours and how it went. */
interface Answer<Row> {
  readonly rows: readonly Row[];
  /** An earlier try may have done it already. */
  readonly repeated: boolean;
}

/**
 * Where jobs remember their steps. Every statement is fenced by the token of the attempt and may be sent twice, so it is sent again when its
 * connection fails, for as long as the attempt lasts. On the pool, not on the session of claims and acks: whoever locks the row of a job
 * holds up that job and no other.
 */
export class StepStore {
  /** The step that the code now running is in. */
  readonly inside = new AsyncLocalStorage<object>();

  constructor(private readonly options: StepStoreOptions) {}

  get maxResultBytes(): number {
    return this.options.maxResultBytes;
  }

  /** What the attempts before have finished. */
  async load({ id }: ClaimedJob, told: AbortSignal): Promise<readonly StepRow[]> {
    return (await this.#insist(loadSteps, { id }, told)).rows;
  }

  /** Remembers a result. @throws LeaseLostError when the job does not belong to this attempt any more */
  async store(claimed: ClaimedJob, name: string, result: string | null, told: AbortSignal): Promise<void> {
    const { rows } = await this.#insist(storeStep, { ...tokenOf(claimed), name, result }, told);
    if (rows.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
  }

  /**
   * Runs `work`, which answers with the result, in a transaction that remembers it as well.
   *
   * @param cut cuts `work` off, and nothing is committed
   * @throws LeaseLostError when the job does not belong to this attempt any more; everything is rolled back
   */
  transact(
    claimed: ClaimedJob,
    name: string,
    work: (tx: pg.PoolClient) => Promise<string | null>,
    cut: AbortSignal,
  ): Promise<string | null> {
    const { tables, transactions } = this.options;
    return transactions.within(async (tx) => {
      const result = await work(tx);
      if (cut.aborted) return result;
      const values = storeStep.values({ ...tokenOf(claimed), name, result });
      const { rows } = await tx.query(storeStep.text(tables), values);
      if (rows.length === 0) throw new LeaseLostError(claimed.queue, claimed.id);
      return result;
    }, cut);
  }

  /** Begins a wait, or looks what has become of it. @throws LeaseLostError when the job does not belong to this attempt any more */
  async wait(
    claimed: ClaimedJob,
    wait: Omit<BeginWaitArgs, 'id' | 'seq'>,
    told: AbortSignal,
  ): Promise<WaitRow> {
    const args = { ...tokenOf(claimed), ...wait };
    const begun = await this.#insist(beginWait, args, told);
    // The second look finds what was emitted before the first had committed: see the function.
    const { rows } =
      wait.event === null || begun.rows[0]?.finished === true
        ? begun
        : await this.#insist(beginWait, args, told);
    if (rows[0] === undefined) throw new LeaseLostError(claimed.queue, claimed.id);
    return rows[0];
  }

  /**
   * Parks the job until the first of its waits is over. Resolves with the time until then, in milliseconds; `undefined`: until an event comes.
   *
   * @throws LeaseLostError when the job does not belong to this attempt any more
   */
  async park(claimed: ClaimedJob, told: AbortSignal): Promise<number | undefined> {
    const { rows, repeated } = await this.#insist(parkJob, tokenOf(claimed), told);
    if (rows[0] === undefined && !repeated) throw new LeaseLostError(claimed.queue, claimed.id);
    return rows[0] === undefined ? undefined : this.#announced(rows[0]);
  }

  /** Leaves a job to workers that know the version of its payload. */
  async leave(claimed: ClaimedJob, version: number): Promise<void> {
    await this.#run(leaveJob, { ...tokenOf(claimed), version });
  }

  #announced({ queue, in_ms: inMs }: ParkedRow): number | undefined {
    if (inMs === 0) this.options.onReady(queue);
    else if (inMs !== null) this.options.onScheduled(inMs);
    return inMs ?? undefined;
  }

  async #insist<Args, Row>(
    statement: Statement<Args, Row>,
    args: Args,
    told: AbortSignal,
  ): Promise<Answer<Row>> {
    let repeated = false;
    for (;;) {
      try {
        return { rows: await this.#run(statement, args), repeated };
      } catch (error) {
        if (!isConnectionFailure(error)) throw databaseErrorOf(statement.name, error);
        repeated ||= leavesOutcomeUnknown(error);
      }
      await pause(RETRY_MS, told);
      told.throwIfAborted();
    }
  }

  async #run<Args, Row>(statement: Statement<Args, Row>, args: Args): Promise<readonly Row[]> {
    const { client, release } = await checkOut(this.options.pool);
    let broken: Error | undefined;
    try {
      const { rows } = await client.query({
        text: statement.text(this.options.tables),
        values: statement.values(args),
        query_timeout: QUERY_TIMEOUT_MS,
      } as pg.QueryConfig);
      return rows as Row[];
    } catch (error) {
      if (isConnectionFailure(error)) broken = error as Error;
      throw error;
    } finally {
      release(broken);
    }
  }
}

function tokenOf({ id, seq }: ClaimedJob): { readonly id: string; readonly seq: string } {
  return { id, seq };
}
