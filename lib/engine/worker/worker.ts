import type pg from 'pg';
import type { ClientSource } from '../connection/pool.js';
import { withoutData } from '../connection/server-error.js';
import type { Session } from '../connection/session.js';
import type { TransactionScope } from '../connection/transaction.js';
import { JobCancelledError, LeaseLostError, ShutdownError } from '../errors.js';
import type { EventHub } from '../events.js';
import type { EncryptionOf } from '../job/encryption.js';
import type { AnyHandler } from '../job/handler.js';
import type { ClaimedJob, Job } from '../job/job.js';
import type { JobBatch } from '../job/job-batch.js';
import { storedOptionsOf } from '../job/stored-options.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import type { ResolvedOptions } from '../options.js';
import { keepMsOf } from '../job/retention.js';
import { settingsOf } from '../job/queue-settings.js';
import { syncQueues } from '../sql/queue-state.js';
import { openLanes } from '../sql/sweep-jobs.js';
import type { Tables } from '../sql/tables.js';
import { type AttemptContext, type EndedAttempt, unstarted } from './attempt.js';
import { BatchPool } from './batch-pool.js';
import { CancelWatch } from './cancel-watch.js';
import { Claimer } from './claimer.js';
import { Dispatcher } from './dispatcher.js';
import { Exchange } from './exchange.js';
import { type Bells, Doorbell } from './doorbell.js';
import { Isolation } from './isolation.js';
import { JobNotes } from './job-notes.js';
import type { JobPool } from './job-pool.js';
import { JobTransactions } from './job-transactions.js';
import { LeaseBook } from './lease-book.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LimitedQueues } from './limited-queues.js';
import { compose } from './middleware.js';
import type { Order } from './order.js';
import { Pacer } from './pacer.js';
import { Reconciler } from './reconciler.js';
import { Settler } from './settler.js';
import { StatsRecorder } from './stats-recorder.js';
import { StepStore } from './step-store.js';
import { SweepClock } from './sweep-clock.js';
import { type PoolObserver, WorkerPool } from './worker-pool.js';

/** Options of a {@link Worker}. */
export interface WorkerOptions {
  readonly session: Session;
  readonly pool: ClientSource;
  readonly scope: TransactionScope;
  readonly tables: Tables;
  readonly events: EventHub;
  readonly resolved: ResolvedOptions;
  readonly configs: () => readonly pg.ClientConfig[];
  readonly bells: Bells;
  readonly encryptionOf: EncryptionOf;
  /** Jobs are to run again after a delay: whoever promotes should know, in milliseconds from now. */
  readonly onScheduled: (inMs: number) => void;
  /** Jobs have ended that mean something to others. */
  readonly onEffects: () => void;
  /** Nobody should be declared dead for a while. */
  readonly onOutage: () => void;
  /** Somebody has told this worker to stop. */
  readonly onStop: () => void;
}

/** What handlers that have been told to end get before their jobs are handed back. */
const ABORT_GRACE_MS = 100;
/** What it may take to cut off the transactions that are still open. */
const CUT_OFF_MS = 1_000;
/** What storing the last outcomes may take beyond the drain, before it is left to the rescue. */
const FLUSH_MS = 1_000;

/**
 * One running engine, from the claim to the ack: the pools of its queues, the dispatcher between them and the database, and the lease that
 * makes its jobs its own.
 */
export class Worker implements Service {
  readonly #claimer = new Claimer();
  readonly #book = new LeaseBook();
  readonly #settler: Settler;
  readonly #keeper: LeaseKeeper;
  readonly #exchange: Exchange;
  readonly #dispatcher: Dispatcher;
  readonly #reconciler: Reconciler;
  readonly #cancels: CancelWatch;
  readonly #isolation = new Isolation();
  readonly #transactions: JobTransactions;
  readonly #notes: JobNotes;
  readonly #batchPools: BatchPool[] = [];
  readonly #steps: StepStore;
  readonly #stats: StatsRecorder;
  readonly #forced = new AbortController();
  #started = false;
  #drained: (() => void) | undefined;

  constructor(private readonly options: WorkerOptions) {
    const { session, tables, events, resolved } = options;
    this.#transactions = new JobTransactions(options.pool, tables, options.scope);
    this.#notes = new JobNotes(session, events, options.encryptionOf);
    this.#steps = new StepStore({
      pool: options.pool,
      tables,
      transactions: this.#transactions,
      maxResultBytes: resolved.maxPayloadBytes,
      onScheduled: options.onScheduled,
      onReady: (queue) => this.hint(queue),
    });
    this.#stats = new StatsRecorder({ session, events });
    this.#settler = new Settler(this.#book, events, (ended) => this.#stats.count(ended));
    this.#keeper = new LeaseKeeper({
      session,
      tables,
      events,
      name: resolved.name,
      lease: resolved.lease,
      configs: options.configs,
      queues: () => this.#slots,
      onOrder: (order) => this.#obey(order),
      onLost: () => this.#lost(),
      onOutage: options.onOutage,
    });
    const limited = new LimitedQueues();
    const sweeps = new SweepClock();
    this.#exchange = new Exchange({
      session,
      events,
      claimer: this.#claimer,
      settler: this.#settler,
      notes: this.#notes,
      book: this.#book,
      keeper: this.#keeper,
      limited,
      sweeps,
      isolation: this.#isolation,
      onScheduled: options.onScheduled,
      onEffects: options.onEffects,
    });
    this.#dispatcher = new Dispatcher({
      events,
      exchange: this.#exchange,
      claimer: this.#claimer,
      limited,
      settler: this.#settler,
      keeper: this.#keeper,
      doorbell: new Doorbell(options.bells),
      pacer: new Pacer({ pollIntervalMs: resolved.listen.pollIntervalMs }),
      sweeps,
      isolation: this.#isolation,
    });
    this.#cancels = new CancelWatch({
      session,
      events,
      keeper: this.#keeper,
      isRunning: () => this.running > 0,
      onCancelled: (jobId) => this.cancel(jobId),
      intervalMs: resolved.lease.heartbeatMs,
    });
    this.#reconciler = new Reconciler({
      session,
      events,
      claimer: this.#claimer,
      book: this.#book,
      keeper: this.#keeper,
      giveBack: (leases) => this.#exchange.giveBack(leases),
      intervalMs: resolved.lease.heartbeatMs * 3,
    });
  }

  get queues(): readonly string[] {
    return this.#claimer.queues;
  }

  get running(): number {
    return this.#claimer.running;
  }

  /** Whether the lease holds, and has not just been out. */
  get steady(): boolean {
    return this.#keeper.steady;
  }

  /** Whether jobs of some queue here move up while they wait. */
  get ages(): boolean {
    return [...this.#claimer.pools].some((pool) => pool.handler.options.ageing !== undefined);
  }

  /** Queues whose payloads have a version, and the newest that is known here. */
  get versions(): readonly { readonly queue: string; readonly version: number }[] {
    return [...this.#claimer.pools].flatMap(({ queue, handler: { options } }) =>
      options.version === undefined ? [] : [{ queue, version: options.version }],
    );
  }

  /** Jobs of one queue running here. */
  runningOf(queue: string): number {
    return this.#claimer.pool(queue)?.running ?? 0;
  }

  /** Works on one more queue, from now on. */
  async serve(handler: AnyHandler): Promise<void> {
    this.#claimer.add(this.#poolOf(handler));
    if (!this.#started) return;
    await this.#open();
    await this.#keeper.describe();
  }

  async start(): Promise<void> {
    await this.#keeper.start();
    this.#started = true;
    await this.#open();
    await this.#reconciler.start();
    await this.#cancels.start();
    await this.#stats.start();
    await this.#dispatcher.start();
  }

  /** Ends the loops. Drain first: what has not been stored by now is left to the rescue. */
  async stop(): Promise<void> {
    await Promise.all([
      this.#dispatcher.stop(),
      this.#reconciler.stop(),
      this.#cancels.stop(),
      this.#stats.stop(),
      this.#notes.flush(),
      this.#keeper.stop(),
    ]);
  }

  /**
   * Claims nothing more and waits for what runs, as long as `drainTimeoutMs`; then tells it to end, and hands back what
   * does not. Whatever has ended is stored, and the worker signs off, before it resolves; each within a bound, for a database
   * that does not answer.
   */
  async drain(): Promise<void> {
    if (!this.#started) return;
    this.#dispatcher.quiesce();
    this.#returnBuffers();
    void this.#keeper.announceDrain().catch(() => {}); // for people only
    await this.#idleWithin(this.options.resolved.shutdown.drainTimeoutMs, this.#forced.signal);
    if (!this.#claimer.idle) await this.#handBack();
    await this.#within(
      FLUSH_MS,
      this.#notes
        .flush()
        .then(() => this.#dispatcher.flushed())
        .then(() => this.#stats.flush())
        .then(() => this.#keeper.signOff())
        .catch(() => {}), // out of reach: the lease runs out by itself
    );
  }

  /** Ends a drain that is under way, or to come, at once: everything is handed back. */
  forceStop(): void {
    this.#forced.abort();
  }

  /** Somebody has cancelled a job; if it runs here, its handler is told. */
  cancel(jobId: string): void {
    for (const pool of this.#claimer.pools) {
      const waiting = pool.cancel(jobId, (claimed) => new JobCancelledError(claimed.queue, claimed.id));
      if (waiting === undefined) continue;
      this.#settler.add(
        unstarted(waiting, 'cancel', keepMsOf(waiting, pool.handler.options.retention, true)),
      );
      this.#dispatcher.call();
    }
  }

  /** Nothing of a queue is to start: what waits here for its turn goes back. */
  paused(queue: string): void {
    this.#returnBuffer(this.#claimer.pool(queue));
    this.#dispatcher.call();
  }

  /** A job of a queue has failed for good, and not in an attempt of this worker. */
  failedElsewhere(queue: string): void {
    this.#stats.failed(queue);
  }

  /** A worker was told something; see its row. */
  told(workerId: string): void {
    this.#keeper.told(workerId);
  }

  /** A queue may have work. */
  hint(queue: string): void {
    this.#dispatcher.hint(queue);
  }

  rang(queue: string): void {
    this.#dispatcher.rang(queue);
  }

  /** The listener is new. */
  bellsLost(): void {
    this.#dispatcher.bellsLost();
  }

  /** Jobs on their last chance wait in queues of ours. */
  aloneFound(): void {
    this.#isolation.found();
    for (const pool of this.#batchPools) pool.hurry();
    this.#dispatcher.call();
  }

  /** How many jobs of each queue may run here at once. */
  get #slots(): Record<string, number> {
    return Object.fromEntries([...this.#claimer.pools].map((pool) => [pool.queue, pool.slots]));
  }

  #obey(order: Order): void {
    switch (order) {
      case 'quiet':
        this.#dispatcher.hush();
        this.#returnBuffers();
        this.#dispatcher.call();
        return this.options.events.emit({ type: 'engineQuiet', running: this.running });
      case 'work':
        this.#dispatcher.resume();
        return this.options.events.emit({ type: 'engineResumed' });
      case 'stop':
        return this.options.onStop();
    }
  }

  #poolOf(handler: AnyHandler): JobPool {
    const { middleware, batchMiddleware } = this.options.resolved;
    if (!('handleBatch' in handler)) {
      const handle = compose(middleware, async (job: Job) => handler.handle(job.payload, job));
      return new WorkerPool(handler, { ...this.#context, handle }, this.#observer);
    }
    const handleBatch = compose(batchMiddleware, async (jobs: JobBatch) =>
      handler.handleBatch(
        jobs.map((job) => job.payload),
        jobs,
      ),
    );
    const pool = new BatchPool(handler, { ...this.#context, handleBatch }, this.#observer);
    this.#batchPools.push(pool);
    return pool;
  }

  get #context(): Omit<AttemptContext, 'handle' | 'handler' | 'onEnded'> {
    return {
      transactions: this.#transactions,
      notes: this.#notes,
      steps: this.#steps,
      onStuck: (claimed) => this.#stuck(claimed),
      onBrokenPolicy: ({ queue }, operation, error) =>
        this.options.events.emit({ type: 'engineError', operation, queue, error: withoutData(error) }),
    };
  }

  get #observer(): PoolObserver {
    return {
      onStarted: (claimed) => this.#announceStart(claimed),
      onEnded: (ended) => this.#ended(ended),
      onSlotFree: () => this.#slotFree(),
    };
  }

  async #open(): Promise<void> {
    const { session } = this.options;
    const queues = [...this.#claimer.pools].map((pool) => ({
      ...settingsOf(pool.queue, pool.handler.options),
      options: storedOptionsOf(pool.handler),
    }));
    await session.run(syncQueues, { queues });
    await session.run(openLanes, { queues: this.#claimer.queues });
    this.#dispatcher.bellsLost(); // armed for other queues, if at all
  }

  async #handBack(): Promise<void> {
    for (const pool of this.#claimer.pools)
      pool.abortAll((claimed) => new ShutdownError(claimed.queue, claimed.id));
    await this.#idleWithin(ABORT_GRACE_MS, new AbortController().signal);
    for (const pool of this.#claimer.pools) pool.releaseAll();
    await this.#idleWithin(CUT_OFF_MS, new AbortController().signal);
  }

  async #idleWithin(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#claimer.idle) return;
    const over = new AbortController();
    const idle = new Promise<void>((resolve) => (this.#drained = resolve));
    await Promise.race([idle, pause(ms, AbortSignal.any([signal, over.signal]))]);
    this.#drained = undefined;
    over.abort();
  }

  async #within(ms: number, work: Promise<void>): Promise<void> {
    const over = new AbortController();
    await Promise.race([work, pause(ms, over.signal)]);
    over.abort();
  }

  #returnBuffers(): void {
    for (const pool of this.#claimer.pools) this.#returnBuffer(pool);
  }

  #returnBuffer(pool: JobPool | undefined): void {
    for (const claimed of pool?.takeBuffered() ?? []) this.#settler.add(unstarted(claimed));
  }

  #announceStart(claimed: ClaimedJob): void {
    if (!this.options.events.observed) return;
    const waitMs = Math.max(0, Date.now() - Date.parse(claimed.readyAt));
    this.options.events.emit({
      type: 'started',
      queue: claimed.queue,
      jobId: claimed.id,
      runCount: claimed.runCount + 1,
      waitMs,
    });
  }

  #ended(ended: EndedAttempt): void {
    this.#settler.add(ended);
    if (ended.stored) this.#exchange.stored(ended);
    this.#dispatcher.call();
  }

  #slotFree(): void {
    if (this.#drained !== undefined && this.#claimer.idle) this.#drained();
    this.#dispatcher.call();
  }

  #stuck(claimed: ClaimedJob): void {
    this.options.events.emit({
      type: 'stuck',
      queue: claimed.queue,
      jobId: claimed.id,
      runCount: claimed.runCount + 1,
    });
  }

  #lost(): void {
    this.#returnBuffers();
    for (const pool of this.#claimer.pools)
      pool.abortAll((claimed) => new LeaseLostError(claimed.queue, claimed.id));
    if (this.#keeper.workerId === 0) this.#book.clear();
  }
}
