import type { Handler } from '../job/handler.js';
import type { ClaimedJob } from '../job/job.js';
import { Attempt, type AttemptContext, type EndedAttempt } from './attempt.js';
import type { JobPool } from './job-pool.js';

/** What a pool tells the worker it belongs to. */
export interface PoolObserver {
  onStarted(claimed: ClaimedJob): void;
  onEnded(ended: EndedAttempt): void;
  /** A slot is free. */
  onSlotFree(): void;
}

/** How far ahead of its slots a pool of short handlers claims, in milliseconds of work. */
const BUFFER_MS = 25;
/** The most jobs one pool asks for at once. */
const LARGEST_CLAIM = 1_000;
/** Weight of the newest attempt in the average run time. */
const AVERAGE_WEIGHT = 0.05;

/**
 * The slots of one queue in this process, and a small buffer of claimed jobs in front of them.
 *
 * The buffer holds about {@link BUFFER_MS} of work, by the average run time: hundreds of jobs where a handler takes
 * microseconds, so that it never waits for the database; none where it takes seconds, so that other processes get those jobs.
 */
export class WorkerPool implements JobPool {
  readonly #running = new Set<Attempt>();
  #buffer: ClaimedJob[] = [];
  #next = 0;
  #bufferedAt = 0;
  #averageRunMs = Infinity;
  /** When a slot was last taken or freed. */
  #movedAt = 0;
  readonly #context: AttemptContext;

  constructor(
    readonly handler: Handler,
    context: Omit<AttemptContext, 'handler' | 'onEnded'>,
    private readonly observer: PoolObserver,
  ) {
    this.#context = { ...context, handler, onEnded: (ended) => this.#ended(ended) };
  }

  get queue(): string {
    return this.handler.queue;
  }

  get slots(): number {
    return this.handler.options.concurrency;
  }

  get running(): number {
    return this.#running.size;
  }

  get buffered(): number {
    return this.#buffer.length - this.#next;
  }

  /** Nothing runs and nothing waits for a slot. */
  get idle(): boolean {
    return this.running === 0 && this.buffered === 0;
  }

  /** Slots that nothing runs in and nothing waits for. */
  get free(): number {
    return Math.max(0, this.handler.options.concurrency - this.running - this.buffered);
  }

  /**
   * How many jobs to claim now: for the free slots, and the half of the buffer that is empty. By halves, so that one is on its way while
   * the other is worked through, and neither this process nor the server waits for the other.
   */
  get wanted(): number {
    const { concurrency } = this.handler.options;
    const ahead = Math.min(
      2 * LARGEST_CLAIM,
      Math.floor((concurrency * BUFFER_MS) / Math.max(this.#runMs, 0.001)),
    );
    const half = Math.ceil(ahead / 2);
    const free = Math.max(0, concurrency - this.running - this.buffered);
    const room = concurrency + ahead - this.running - this.buffered;
    if (free === 0 && room < half) return 0;
    return Math.max(0, Math.min(LARGEST_CLAIM, room, free + half));
  }

  /**
   * What a run takes, as far as is known. The average knows nothing of handlers that are slow all of a sudden until they end: when all
   * slots have been taken for longer than the buffer is to last, they are slow already.
   */
  get #runMs(): number {
    if (this.running < this.handler.options.concurrency) return this.#averageRunMs;
    const stalledMs = performance.now() - this.#movedAt;
    return stalledMs > BUFFER_MS ? Math.max(this.#averageRunMs, stalledMs) : this.#averageRunMs;
  }

  /** Runs these jobs, as soon as there are slots. */
  deliver(jobs: readonly ClaimedJob[]): void {
    if (this.running < this.handler.options.concurrency) this.#movedAt = performance.now();
    if (this.buffered === 0) this.#bufferedAt = performance.now();
    this.#buffer = [...this.#buffer.slice(this.#next), ...jobs];
    this.#next = 0;
    this.#fill();
  }

  /** Takes back what is buffered and has not started: all of it, or when the oldest has waited for longer than `olderThanMs`. */
  takeBuffered(olderThanMs = 0): ClaimedJob[] {
    if (this.buffered === 0 || performance.now() - this.#bufferedAt < olderThanMs) return [];
    const taken = this.#buffer.slice(this.#next);
    this.#buffer = [];
    this.#next = 0;
    return taken;
  }

  abortAll(reasonOf: (claimed: ClaimedJob) => Error): void {
    for (const attempt of this.#running) attempt.abort(reasonOf(attempt.claimed));
  }

  /** Tells a job to end. What has not started is answered: it is the caller's. */
  cancel(jobId: string, reasonOf: (claimed: ClaimedJob) => Error): ClaimedJob | undefined {
    for (const attempt of this.#running)
      if (attempt.claimed.id === jobId) attempt.abort(reasonOf(attempt.claimed));
    const waiting = this.#buffer.slice(this.#next).find((claimed) => claimed.id === jobId);
    if (waiting === undefined) return undefined;
    this.#buffer = this.#buffer.slice(this.#next).filter((claimed) => claimed !== waiting);
    this.#next = 0;
    return waiting;
  }

  /** These leases were taken away: what has not started is forgotten, what runs is told. */
  loseLeases(lost: ReadonlySet<string>, reasonOf: (claimed: ClaimedJob) => Error): void {
    this.#buffer = this.#buffer.slice(this.#next).filter((claimed) => !lost.has(claimed.leaseId));
    this.#next = 0;
    for (const attempt of this.#running) {
      if (lost.has(attempt.claimed.leaseId)) attempt.abort(reasonOf(attempt.claimed));
    }
  }

  releaseAll(): void {
    for (const attempt of this.#running) attempt.release();
  }

  #fill(): void {
    const { concurrency } = this.handler.options;
    while (this.#running.size < concurrency && this.#next < this.#buffer.length) {
      this.#start(this.#buffer[this.#next++] as ClaimedJob);
    }
    if (this.#next === this.#buffer.length && this.#next > 0) {
      this.#buffer = [];
      this.#next = 0;
    }
  }

  #start(claimed: ClaimedJob): void {
    const attempt = new Attempt(claimed, this.#context);
    this.#running.add(attempt);
    this.observer.onStarted(claimed);
    void attempt.run().then(() => {
      this.#running.delete(attempt);
      this.#movedAt = this.#bufferedAt = performance.now();
      this.#fill();
      this.observer.onSlotFree();
    });
  }

  #ended(ended: EndedAttempt): void {
    this.#averageRunMs = Number.isFinite(this.#averageRunMs)
      ? this.#averageRunMs + AVERAGE_WEIGHT * (ended.runMs - this.#averageRunMs)
      : ended.runMs;
    this.observer.onEnded(ended);
  }
}
