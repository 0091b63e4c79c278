import type { JobPool } from './job-pool.js';

/** What to ask the database for: one limit a queue. */
export interface Demand {
  readonly queues: readonly string[];
  readonly limits: readonly number[];
  /** How many of them could start at once. */
  readonly frees: readonly number[];
}

/** What a claim brought for one queue. */
export interface Yield {
  readonly queue: string;
  readonly jobs: number;
}

/**
 * Decides what to claim: for each queue that may have work, as many jobs as its pool wants. A queue whose claim came back
 * short has no work until somebody says so: a bell, a publisher in this process, a promotion, or the poll.
 *
 * One claimer serves all queues of a process with one statement, so a slow handler on one never holds up another.
 */
export class Claimer {
  readonly #pools = new Map<string, JobPool>();
  /** Queues that may have work, with the number of times that somebody said so. */
  readonly #hints = new Map<string, number>();
  #sequence = 0;

  add(pool: JobPool): void {
    this.#pools.set(pool.queue, pool);
    this.hint(pool.queue);
  }

  get queues(): readonly string[] {
    return [...this.#pools.keys()];
  }

  pool(queue: string): JobPool | undefined {
    return this.#pools.get(queue);
  }

  get pools(): Iterable<JobPool> {
    return this.#pools.values();
  }

  get running(): number {
    let running = 0;
    for (const pool of this.pools) running += pool.running;
    return running;
  }

  get idle(): boolean {
    for (const pool of this.pools) if (!pool.idle) return false;
    return true;
  }

  /** This queue may have work. False when it is none of ours. */
  hint(queue: string): boolean {
    if (!this.#pools.has(queue)) return false;
    this.#sequence += 1;
    this.#hints.set(queue, this.#sequence);
    return true;
  }

  hintAll(): void {
    for (const queue of this.#pools.keys()) this.hint(queue);
  }

  /** What to claim now, from the queues that may have work. */
  demand(belongs: (queue: string) => boolean = () => true): Demand | undefined {
    return this.#demandOf([...this.#hints.keys()].filter(belongs));
  }

  /** What could be claimed at most, whether there is work or not: for a sweep. */
  capacity(): Demand | undefined {
    return this.#demandOf(this.#pools.keys());
  }

  /** Remembers what was hinted when a claim was sent, to be given to {@link answered}. */
  get mark(): number {
    return this.#sequence;
  }

  /**
   * A claim was answered. Queues that yielded less than asked are dry, unless they were hinted at since it was sent, or have work of
   * another kind.
   */
  answered(
    demand: Demand,
    yields: readonly Yield[],
    mark: number,
    hasMore: (queue: string) => boolean = () => false,
  ): void {
    const taken = new Map<string, number>();
    for (const { queue, jobs } of yields) taken.set(queue, (taken.get(queue) ?? 0) + jobs);
    for (const [index, queue] of demand.queues.entries()) {
      const short = (taken.get(queue) ?? 0) < (demand.limits[index] ?? 0);
      if (short && !hasMore(queue) && (this.#hints.get(queue) ?? 0) <= mark) this.#hints.delete(queue);
    }
  }

  #demandOf(candidates: Iterable<string>): Demand | undefined {
    const queues: string[] = [];
    const limits: number[] = [];
    const frees: number[] = [];
    for (const queue of candidates) {
      const pool = this.#pools.get(queue);
      if (pool === undefined || pool.wanted === 0) continue;
      queues.push(queue);
      limits.push(pool.wanted);
      frees.push(Math.min(pool.free, pool.wanted));
    }
    return queues.length === 0 ? undefined : { queues, limits, frees };
  }
}
