import { isDataError } from '../connection/pg-errors.js';
import { QueueFullError } from '../errors.js';
import { Deferred } from '../lifecycle/deferred.js';
import type { EnqueuedRow } from '../sql/enqueue-jobs.js';
import { LARGEST_BATCH, LONGEST_BATCH } from './encoded-chunks.js';
import type { EncodedJob } from './job-text.js';

interface PendingJob {
  readonly job: EncodedJob;
  readonly stored: Deferred<EnqueuedRow>;
}

/**
 * Group commit: calls made while an INSERT is under way share the next one, and its one flush to disk. No timer, so a lone
 * call waits for nothing.
 */
export class EnqueueBatcher {
  #pending: PendingJob[] = [];
  #flushing: Promise<void> | undefined;

  /** @param store stores a batch in a transaction of its own; resolves with its rows in order, once it is committed */
  constructor(private readonly store: (jobs: readonly EncodedJob[]) => Promise<readonly EnqueuedRow[]>) {}

  /** Resolves once the job is committed. */
  add(job: EncodedJob): Promise<EnqueuedRow> {
    const stored = new Deferred<EnqueuedRow>();
    this.#pending.push({ job, stored });
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    return stored.promise;
  }

  /** Resolves when nothing is under way. */
  async flushed(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    await Promise.resolve(); // calls of the same tick join
    while (this.#pending.length > 0) await this.#send(this.#take());
  }

  #take(): PendingJob[] {
    let length = 0;
    const fits = this.#pending.findIndex((each, index) => {
      length += each.job.text.length;
      return index > 0 && (index >= LARGEST_BATCH || length > LONGEST_BATCH);
    });
    return this.#pending.splice(0, fits === -1 ? this.#pending.length : fits);
  }

  /** A job that the server refuses must not fail its neighbours: the batch is halved until it stands alone. */
  async #send(batch: readonly PendingJob[]): Promise<void> {
    try {
      const rows = await this.store(batch.map((each) => each.job));
      for (const [index, each] of batch.entries()) each.stored.resolve(rows[index] as EnqueuedRow);
    } catch (error) {
      if (batch.length === 1 || !isDataError((error as Error).cause)) return failAll(batch, error);
      if (error instanceof QueueFullError && !batch.some((each) => each.job.ruled))
        return this.#sendWhatFits(batch, error);
      const middle = Math.ceil(batch.length / 2);
      await this.#send(batch.slice(0, middle));
      await this.#send(batch.slice(middle));
    }
  }

  /** Of a queue that is full, the first jobs, as many as there was room for; the others need not be sent to be refused. */
  async #sendWhatFits(batch: readonly PendingJob[], full: QueueFullError): Promise<void> {
    const refused = batch
      .filter((each) => each.job.queue === full.queue)
      .slice(Math.max(0, full.maxPending - full.pending));
    if (refused.length === 0) return failAll(batch, full);
    failAll(refused, full);
    const gone = new Set(refused);
    const others = batch.filter((each) => !gone.has(each));
    if (others.length > 0) await this.#send(others);
  }
}

function failAll(batch: readonly PendingJob[], error: unknown): void {
  for (const each of batch) each.stored.reject(error);
}
