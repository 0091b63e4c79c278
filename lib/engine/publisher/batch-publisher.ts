import { databaseErrorOf } from '../connection/pg-errors.js';
import type { Transaction } from '../connection/executor.js';
import { checkBatch } from '../option-checks.js';
import { closeBatch, openBatch } from '../sql/batches.js';
import type { Statement } from '../sql/statement.js';
import type { Tables } from '../sql/tables.js';
import { type BatchBuilder, BatchJobs, type BatchJobsOptions, type EnqueuedBatch } from './batch.js';
import type { EnqueuedJob, NewJob } from './enqueue-options.js';
import type { EncodedJob } from './job-text.js';

/** Options of a {@link BatchPublisher}. */
export interface BatchPublisherOptions {
  readonly tables: Tables;
  readonly encode: (job: NewJob) => Promise<EncodedJob>;
  readonly enqueueMany: (
    jobs: readonly NewJob[],
    options: { readonly tx: Transaction },
  ) => Promise<EnqueuedJob[]>;
  /** Runs `work` in the transaction that is given, in the ambient one, or in one of its own. */
  readonly transaction: <T>(
    given: Transaction | undefined,
    work: (tx: Transaction) => Promise<T>,
  ) => Promise<T>;
}

/** Enqueues jobs that are counted together, and says what is enqueued when the last of them has ended. */
export class BatchPublisher {
  constructor(private readonly options: BatchPublisherOptions) {}

  /** @throws InvalidOptionsError, and as `enqueue`; nothing is stored then */
  async batch(build: (batch: BatchBuilder) => void, options: BatchJobsOptions): Promise<EnqueuedBatch> {
    checkBatch(options);
    const jobs = new BatchJobs();
    build(jobs);
    const callbacks = await this.#callbacksText(options);
    return this.options.transaction(options.tx, async (tx) => {
      const [row] = await this.#run(tx, openBatch, { callbacks });
      const { id } = row as { readonly id: string };
      const enqueued = await this.options.enqueueMany(jobs.of(id), { tx });
      if (options.open !== true) await this.#run(tx, closeBatch, { id });
      return { id, jobs: enqueued };
    });
  }

  async close(id: string, given: Transaction | undefined): Promise<boolean> {
    const [row] = await this.options.transaction(given, (tx) => this.#run(tx, closeBatch, { id }));
    return row?.closed === true;
  }

  async #callbacksText({ onFinished, onSucceeded, onFailed }: BatchJobsOptions): Promise<string> {
    const given = Object.entries({ finished: onFinished, succeeded: onSucceeded, failed: onFailed });
    const texts: string[] = [];
    for (const [name, job] of given)
      if (job !== undefined) texts.push(`"${name}":${(await this.options.encode(job)).text}`);
    return `{${texts.join(',')}}`;
  }

  async #run<Args, Row>(
    tx: Transaction,
    statement: Statement<Args, Row>,
    args: Args,
  ): Promise<readonly Row[]> {
    try {
      const answer = (await tx.query(statement.text(this.options.tables), statement.values(args))) as
        Row[] | { rows: Row[] };
      return Array.isArray(answer) ? answer : answer.rows;
    } catch (error) {
      throw databaseErrorOf('batch', error);
    }
  }
}
