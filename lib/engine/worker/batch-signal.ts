import type { Job } from '../job/job.js';

/** The signal of a batch: aborted when no job is left to work for, all of them being told to end or ended. */
export class BatchSignal {
  readonly #abort = new AbortController();
  readonly #left: Set<Job>;
  #reason: unknown;

  constructor(jobs: readonly Job[]) {
    this.#left = new Set(jobs);
    for (const job of jobs) this.#follow(job);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Nothing is to be done for this one any more, though nobody told it to end. */
  ended(job: Job): void {
    this.#left.delete(job);
    if (this.#left.size === 0 && this.#reason !== undefined) this.#abort.abort(this.#reason);
  }

  #follow(job: Job): void {
    const { signal } = job;
    const aborted = () => {
      this.#reason = signal.reason;
      this.ended(job);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
  }
}
