import type { Job } from '../job/job.js';

/** The signal of a batch: aborted when the last of its jobs that are still at work is told to end. */
export class BatchSignal {
  readonly #abort = new AbortController();
  readonly #left: Set<Job>;

  constructor(jobs: readonly Job[]) {
    this.#left = new Set(jobs);
    for (const job of jobs) this.#follow(job);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** It needs not be waited for, though nobody has told it to end. */
  ended(job: Job): void {
    this.#left.delete(job);
  }

  #follow(job: Job): void {
    const { signal } = job;
    if (signal.aborted) this.#aborted(job);
    else signal.addEventListener('abort', () => this.#aborted(job), { once: true });
  }

  #aborted(job: Job): void {
    this.#left.delete(job);
    if (this.#left.size === 0) this.#abort.abort(job.signal.reason);
  }
}
