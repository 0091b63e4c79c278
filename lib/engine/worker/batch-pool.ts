import type { BatchHandler } from '../job/handler.js';
import type { ClaimedJob } from '../job/job.js';
import type { Attempt } from './attempt.js';
import { Batch, type BatchContext } from './batch.js';
import type { JobPool } from './job-pool.js';
import type { PoolObserver } from './worker-pool.js';

/** A claimed job that waits for company. */
interface Waiting {
  readonly claimed: ClaimedJob;
  /** By the monotonic clock. */
  readonly since: number;
}

/** The most jobs one pool asks for at once. */
const LARGEST_CLAIM = 1_000;

/**
 * The slots of one queue in this process whose handler gets batches: each slot holds one.
 *
 * It claims as many jobs as its free slots could hold and nothing ahead, so that what is claimed and does not run waits for its batch to
 * fill, never for a slot.
 */
export class BatchPool implements JobPool {
  readonly #running = new Set<Batch>();
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #filling = false;
  readonly #context: BatchContext;

  constructor(
    readonly handler: BatchHandler,
    context: Omit<BatchContext, 'handler' | 'onEnded'>,
    private readonly observer: PoolObserver,
  ) {
    this.#context = { ...context, handler, onEnded: (ended) => this.observer.onEnded(ended) };
  }

  get queue(): string {
    return this.handler.queue;
  }

  get slots(): number {
    return this.handler.options.concurrency * this.handler.batch.size;
  }

  get running(): number {
    let running = 0;
    for (const batch of this.#running) running += batch.running;
    return running;
  }

  get buffered(): number {
    return this.#waiting.length;
  }

  get idle(): boolean {
    return this.#running.size === 0 && this.buffered === 0;
  }

  get free(): number {
    const slots = this.handler.options.concurrency - this.#running.size;
    return Math.max(0, slots * this.handler.batch.size - this.buffered);
  }

  get wanted(): number {
    return Math.min(this.free, LARGEST_CLAIM);
  }

  /** What one claim brings comes lease by lease, so whether a batch is full is seen afterwards. */
  deliver(jobs: readonly ClaimedJob[]): void {
    const since = performance.now();
    for (const claimed of jobs) this.#waiting.push({ claimed, since });
    if (this.#filling) return;
    this.#filling = true;
    queueMicrotask(() => {
      this.#filling = false;
      this.#fill();
    });
  }

  /** None has waited for a slot, however long it has waited. */
  takeBuffered(olderThanMs = 0): ClaimedJob[] {
    return olderThanMs === 0 ? this.#take(() => true) : [];
  }

  abortAll(reasonOf: (claimed: ClaimedJob) => Error): void {
    for (const attempt of this.#attempts()) attempt.abort(reasonOf(attempt.claimed));
  }

  cancel(jobId: string, reasonOf: (claimed: ClaimedJob) => Error): ClaimedJob | undefined {
    for (const attempt of this.#attempts())
      if (attempt.claimed.id === jobId) attempt.abort(reasonOf(attempt.claimed));
    return this.#take((claimed) => claimed.id === jobId)[0];
  }

  loseLeases(lost: ReadonlySet<string>, reasonOf: (claimed: ClaimedJob) => Error): void {
    this.#take((claimed) => lost.has(claimed.leaseId));
    for (const attempt of this.#attempts())
      if (lost.has(attempt.claimed.leaseId)) attempt.abort(reasonOf(attempt.claimed));
  }

  releaseAll(): void {
    for (const attempt of this.#attempts()) attempt.release();
  }

  /** Nobody else will come for a while: what waits for company runs. */
  hurry(): void {
    this.#waiting = this.#waiting.map(({ claimed }) => ({ claimed, since: -Infinity }));
    this.#fill();
  }

  *#attempts(): Iterable<Attempt> {
    for (const batch of this.#running) yield* batch.attempts;
  }

  #take(wanted: (claimed: ClaimedJob) => boolean): ClaimedJob[] {
    const taken = this.#waiting.filter(({ claimed }) => wanted(claimed));
    this.#waiting = this.#waiting.filter(({ claimed }) => !wanted(claimed));
    this.#fill(); // the first of those that are left may have come later
    return taken.map(({ claimed }) => claimed);
  }

  #fill(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { concurrency } = this.handler.options;
    const { size } = this.handler.batch;
    while (this.#running.size < concurrency && this.buffered > 0) {
      const waitMs = this.buffered >= size ? 0 : this.#untilDue();
      if (waitMs > 0) return this.#fillIn(waitMs);
      this.#start(this.#waiting.splice(0, size).map(({ claimed }) => claimed));
    }
  }

  #fillIn(ms: number): void {
    this.#timer = setTimeout(() => this.#fill(), Math.ceil(ms));
  }

  /** Milliseconds until the first has waited for long enough. A job on its last chance gets no company. */
  #untilDue(): number {
    const first = this.#waiting[0];
    if (first === undefined || first.claimed.alone) return 0;
    return first.since + this.handler.batch.waitMs - performance.now();
  }

  #start(claimed: readonly ClaimedJob[]): void {
    const batch = new Batch(claimed, this.#context);
    this.#running.add(batch);
    for (const each of claimed) this.observer.onStarted(each);
    void batch.run().then(() => {
      this.#running.delete(batch);
      this.#fill();
      this.observer.onSlotFree();
    });
  }
}
