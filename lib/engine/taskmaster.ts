import type pg from 'pg';
import { Admin } from './admin/admin.js';
import { EventWatch, type WatchedEvent, type WatchFilter } from './admin/event-watch.js';
import { Database } from './connection/database.js';
import { databaseErrorOf, isConnectionFailure, reasonOf } from './connection/pg-errors.js';
import { withoutData } from './connection/server-error.js';
import { StatementPool } from './connection/statement-pool.js';
import { TransactionScope } from './connection/transaction.js';
import { EngineRun } from './engine-run.js';
import { ClosedError, DatabaseUnreachableError, TaskmasterError } from './errors.js';
import { EventHub } from './events.js';
import { Deferred } from './lifecycle/deferred.js';
import { HandlerList } from './handler-list.js';
import type { EncryptionOf } from './job/encryption.js';
import type { AnyHandler, AnyRegistration, BatchOptions } from './job/handler.js';
import { pause } from './lifecycle/pause.js';
import type { ResolvedOptions, TaskmasterOptions } from './options.js';
import { controlOf } from './listener/control-message.js';
import { Listener } from './listener/listener.js';
import { Publisher } from './publisher/publisher.js';
import { ResultWatch } from './publisher/result-watch.js';
import { TransactionHint } from './publisher/transaction-hint.js';
import { notifyChannel } from './sql/listen.js';
import { resolveOptions } from './resolve-options.js';
import { withHiddenConnections } from './hidden-connections.js';
import { ScheduleList } from './schedule-list.js';
import type { ScheduleDefinition } from './schedule/schedule-definition.js';

/** `idle` until started; `starting` also while a lazy connection is waited for; `stopped` can be started again. */
export type TaskmasterState = 'idle' | 'starting' | 'running' | 'draining' | 'stopped';

/** A handler and its pool in this process. */
export interface RegisteredHandler {
  readonly queue: string;
  readonly label: string;
  /** How many run at once: jobs, or batches. */
  readonly concurrency: number;
  /** `undefined`: it gets jobs one by one. */
  readonly batch: Required<BatchOptions> | undefined;
  /** Jobs running now. */
  readonly running: number;
}

/** `degraded`: works, but not as it should. */
export interface HealthReport {
  readonly status: 'up' | 'degraded' | 'down';
  readonly details: Readonly<Record<string, unknown>>;
}

const PING_MS = 2_000;
const RETRY_MS = 250;

/**
 * The engine without Nest: composes the parts, starts and stops them in order, and exposes the publisher.
 *
 * closed <- (open -> [start -> stop]* -> close); every call is idempotent and may come at any time.
 */
export class Taskmaster {
  readonly options: ResolvedOptions;
  readonly events: EventHub;
  readonly publisher: Publisher;
  /** For people and tools; opens by itself. */
  readonly admin: Admin;
  readonly #database: Database;
  readonly #scope: TransactionScope;
  readonly #handlers: HandlerList;
  readonly #schedules: ScheduleList;
  readonly #watch: EventWatch;
  readonly #encryptionOf: EncryptionOf = (queue) => this.#handlers.rulesOf(queue)?.encryption;
  #state: TaskmasterState = 'idle';
  #opening: Promise<void> | undefined;
  #connected = false;
  #starting: Promise<void> | undefined;
  #startCancelled = new AbortController();
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #run: EngineRun | undefined;

  /** Checks the options; connects to nothing. @throws InvalidOptionsError listing every problem */
  constructor(options: TaskmasterOptions) {
    this.options = withHiddenConnections(resolveOptions(options, process.env));
    this.events = new EventHub(this.options.name);
    this.#database = new Database(this.options, this.events);
    this.#scope = new TransactionScope(this.options.transaction);
    this.#handlers = new HandlerList(this.options);
    this.#schedules = new ScheduleList({
      maxPayloadBytes: this.options.maxPayloadBytes,
      rulesOf: (queue) => this.#handlers.rulesOf(queue),
    });
    const statements = this.#statements();
    const results = new ResultWatch({
      statements,
      encryptionOf: this.#encryptionOf,
      listen: (onEnded) => this.#listenTo('ended', statements, onEnded),
    });
    this.#watch = new EventWatch({
      statements,
      encryptionOf: this.#encryptionOf,
      listen: (onStored) => this.#listenTo('watched', statements, () => onStored()),
    });
    this.publisher = new Publisher({
      results,
      pool: this.#database.clients,
      tables: this.#database.tables,
      scope: this.#scope,
      events: this.events,
      maxPayloadBytes: this.options.maxPayloadBytes,
      named: () => this.#database.named,
      target: () => this.#database.target,
      rulesOf: (queue) => this.#handlers.rulesOf(queue),
      onCommitted: (queue, delayMs) => this.#run?.committed(queue, delayMs),
      onEmitted: () => this.#run?.emitted(),
      hint: this.#hint(),
    });
    this.admin = this.#createAdmin(statements);
  }

  /** The pool; it connects when it is used. One that was lent is the one that was lent. */
  get pool(): pg.Pool {
    return this.#database.pool;
  }

  get state(): TaskmasterState {
    return this.#state;
  }

  /** Jobs running here now. */
  get running(): number {
    return this.#run?.running ?? 0;
  }

  /** What is registered, those that `consume` leaves to others included. */
  get handlers(): readonly RegisteredHandler[] {
    return this.#handlers.all.map((handler) => ({
      queue: handler.queue,
      label: handler.label,
      concurrency: handler.options.concurrency,
      batch: 'batch' in handler ? handler.batch : undefined,
      running: this.#run?.runningOf(handler.queue) ?? 0,
    }));
  }

  /**
   * Connects and migrates; jobs can be enqueued from then on. With `connect: 'lazy'` it resolves at once and goes on trying.
   *
   * @throws DatabaseUnreachableError after `connectTimeoutMs`; SchemaBehindError, SchemaTooNewError, PermissionDeniedError
   */
  async open(): Promise<void> {
    if (this.#closing !== undefined) throw new ClosedError('open');
    this.#opening ??= this.#connect(
      this.options.connect === 'lazy' ? Infinity : this.options.connectTimeoutMs,
    );
    if (this.options.connect === 'lazy') {
      this.#opening.catch(() => {}); // reported by the start that waits for it
      this.publisher.open();
      return;
    }
    await this.#opening;
  }

  /**
   * Registers a handler, of jobs or of batches, before `start` or while running.
   *
   * @throws DuplicateHandlerError, InvalidQueueNameError, InvalidOptionsError
   */
  register(registration: AnyRegistration): void {
    for (const handler of this.#handlers.add(registration))
      if (this.#state === 'running' && this.#handlers.consumes(handler))
        void this.#serve(handler).catch((error: unknown) => this.#report('register', error));
  }

  /**
   * Defines a schedule in code, before `start` or while running. It is stored when this process starts to work on queues: where it is not what
   * the code said before, it replaces what is stored.
   *
   * @param label where it comes from, for messages
   * @throws DuplicateScheduleError, InvalidOptionsError, InvalidPayloadError
   */
  schedule(definition: ScheduleDefinition, label?: string): void {
    this.#schedules.add(definition, label);
    if (this.#starting !== undefined) void this.#acceptSchedule(definition.name);
  }

  /** Opens if that has not happened, then starts to listen and to work. */
  async start(): Promise<void> {
    if (this.#closing !== undefined) throw new ClosedError('start');
    if (this.#stopping !== undefined) await this.#stopping; // not otherwise: a stop() that comes next must find this start
    if (this.options.connect !== 'lazy') return (this.#starting ??= this.#begin());
    this.#starting ??= this.#begin();
    this.#starting.catch((error: unknown) => error instanceof ClosedError || this.#report('start', error));
    return undefined;
  }

  /**
   * Claims nothing more and waits for running jobs, up to `shutdown.drainTimeoutMs`; then aborts and hands back what is left.
   * Jobs can still be enqueued afterwards, and it can be started again.
   */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#end().finally(() => (this.#stopping = undefined)));
  }

  /** Ends a drain at once: what still runs is aborted and handed back. */
  forceStop(): void {
    this.#run?.forceStop();
  }

  /** Stops, and ends every connection that is its own. Enqueuing rejects with ClosedError from now on. */
  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown());
  }

  /**
   * Events of all processes, from now on or from where a watcher has left off: see {@link EventWatch.watch}. Yields until the signal aborts or the
   * engine is closed.
   *
   * @throws InvalidOptionsError
   */
  watch(filter: WatchFilter, signal: AbortSignal): AsyncGenerator<WatchedEvent, void> {
    return this.#watch.watch(filter, signal);
  }

  async health(): Promise<HealthReport> {
    const details = { state: this.#state, running: this.running, listening: this.#run?.listening ?? false };
    const reachable = this.#connected && (await this.#ping());
    if (!reachable) return { status: 'down', details: { ...details, database: 'unreachable' } };
    if (this.#state === 'draining' || this.#closing !== undefined)
      return { status: 'down', details: { ...details, database: 'ok' } };
    return {
      status: this.#run?.listening === false ? 'degraded' : 'up',
      details: { ...details, database: 'ok' },
    };
  }

  #hint(): TransactionHint | undefined {
    const { openTransactions } = this.#database;
    return this.options.warnOutsideTransaction
      ? new TransactionHint(openTransactions, this.events)
      : undefined;
  }

  /**
   * A listener of its own, for processes that only publish too. What becomes of it is nobody's business: without it, who waits looks by
   * himself.
   *
   * @param onHeard with what was said, or without when some of it may have been missed
   */
  #listenTo(
    kind: string,
    statements: StatementPool,
    onHeard: (subject: string | undefined) => void,
  ): Listener | undefined {
    if (!this.options.listen.enabled) return undefined;
    const tell = () => onHeard(undefined);
    return new Listener({
      cluster: this.#database.listenCluster,
      tables: this.#database.tables,
      events: new EventHub(this.options.name),
      notify: async (channel, payload) =>
        void (await statements.run('listen', notifyChannel, { channel, payload })),
      onRing: (message) => {
        const control = controlOf(message);
        if (control?.kind === kind) onHeard(control.subject);
      },
      onRestored: tell,
      onLost: tell,
    });
  }

  /** For single statements; waits for a lazy connection. */
  #statements({ whileClosing = false } = {}): StatementPool {
    return new StatementPool({
      pool: this.#database.clients,
      tables: this.#database.tables,
      named: () => this.#database.named,
      target: () => this.#database.target,
      ready: async (operation) => {
        if (this.#closing === undefined) return this.open();
        if (!whileClosing) throw new ClosedError(operation);
      },
    });
  }

  #createAdmin(statements: StatementPool): Admin {
    return new Admin({
      statements,
      lastStatements: this.#statements({ whileClosing: true }),
      pool: this.#database.clients,
      tables: this.#database.tables,
      schema: this.options.schema,
      events: this.events,
      maxPayloadBytes: this.options.maxPayloadBytes,
      rulesOf: (queue) => this.#handlers.rulesOf(queue),
      encryptionOf: this.#encryptionOf,
      onReady: (queue) => this.#run?.committed(queue, undefined),
      onCommitted: (queue, delayMs) => this.#run?.committed(queue, delayMs),
      onSchedulesChanged: () => this.#run?.schedulesChanged(),
    });
  }

  async #connect(waitMs: number): Promise<void> {
    try {
      await this.#database.open(waitMs);
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
    this.#connected = true;
    this.publisher.open();
  }

  async #begin(): Promise<void> {
    this.#state = 'starting';
    this.#startCancelled = new AbortController();
    try {
      await this.#schedules.checkAll();
      await this.#opened(this.#startCancelled.signal);
      await this.#startRun(this.#startCancelled.signal);
    } catch (error) {
      await this.#abandon();
      throw this.#startErrorOf(error);
    }
    this.#state = 'running';
    this.events.emit({
      type: 'engineStarted',
      queues: this.#handlers.consumed.map(({ queue, options }) => ({
        queue,
        concurrency: options.concurrency,
      })),
    });
  }

  #startErrorOf(error: unknown): unknown {
    if (error instanceof TaskmasterError || !(error instanceof Error)) return error;
    return isConnectionFailure(error)
      ? new DatabaseUnreachableError(this.#database.target, reasonOf(error), { cause: error })
      : databaseErrorOf('start', error);
  }

  /** Resolves when the database is there; a `stop` meanwhile ends the wait for one that may never come. */
  async #opened(cancelled: AbortSignal): Promise<void> {
    const stopped = new Deferred<never>();
    const onAbort = () => stopped.reject(new ClosedError('start'));
    cancelled.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.open().then(() => this.#opening), stopped.promise]);
    cancelled.removeEventListener('abort', onAbort);
  }

  /** A connection that breaks while the parts start is no reason to give up: they start anew. */
  async #startRun(cancelled: AbortSignal): Promise<void> {
    const deadline =
      performance.now() + (this.options.connect === 'lazy' ? Infinity : this.options.connectTimeoutMs);
    for (;;) {
      try {
        return await this.#serveAll();
      } catch (error) {
        if (!isConnectionFailure(error) || performance.now() + RETRY_MS >= deadline || cancelled.aborted)
          throw error;
        await this.#run?.stop().catch(() => {}); // for the same reason
        this.#run = undefined;
        await pause(RETRY_MS, cancelled);
      }
    }
  }

  async #abandon(): Promise<void> {
    await this.#run?.stop().catch((error: unknown) => this.#report('stop', error));
    this.#run = undefined;
    this.#starting = undefined;
    this.#state = 'idle';
  }

  /** One that is refused while running is reported, and does not hold up the others. */
  async #acceptSchedule(name: string): Promise<void> {
    try {
      await this.#schedules.check(name);
    } catch (error) {
      this.#schedules.remove(name);
      this.#report('schedule', error);
    }
    this.#run?.schedulesChanged();
  }

  /** Also the handlers that are registered meanwhile. */
  async #serveAll(): Promise<void> {
    let started: EngineRun | undefined;
    for (
      let handler = this.#unserved;
      handler !== undefined || this.#run !== started;
      handler = this.#unserved
    ) {
      if (handler !== undefined) await this.#serve(handler);
      else await (started = this.#run)?.start();
    }
  }

  get #unserved(): AnyHandler | undefined {
    return this.#handlers.consumed.find(({ queue }) => this.#run?.serves(queue) !== true);
  }

  async #serve(handler: AnyHandler): Promise<void> {
    const first = this.#run === undefined;
    this.#run ??= new EngineRun({
      database: this.#database,
      scope: this.#scope,
      events: this.events,
      resolved: this.options,
      encryptionOf: this.#encryptionOf,
      schedules: () => this.#schedules.accepted,
      onStop: () => void this.stop().catch((error: unknown) => this.#report('stop', error)),
    });
    await this.#run.serve(handler);
    if (first && this.#state === 'running') await this.#run.start();
  }

  async #end(): Promise<void> {
    if (this.#starting === undefined) return;
    this.#startCancelled.abort();
    await this.#starting.catch(() => {}); // who started it has the error
    if (this.#state !== 'running') return;
    this.#state = 'draining';
    this.events.emit({ type: 'engineDraining', running: this.running });
    await this.#run?.stop();
    this.#run = undefined;
    this.#starting = undefined;
    this.#state = 'stopped';
    this.events.emit({ type: 'engineStopped' });
  }

  async #shutDown(): Promise<void> {
    await this.stop();
    await this.#watch.close();
    await this.admin.operations.close();
    await this.publisher.close();
    await this.#database.close();
  }

  async #ping(): Promise<boolean> {
    const ping = { text: 'select 1', query_timeout: PING_MS } as pg.QueryConfig;
    const over = new AbortController();
    const answered = this.pool.query(ping).then(
      () => true,
      () => false,
    );
    const late = pause(PING_MS, over.signal).then(() => false); // a pool that was lent may let us wait for ever
    return Promise.race([answered, late]).finally(() => over.abort());
  }

  #report(operation: string, error: unknown): void {
    this.events.emit({ type: 'engineError', operation, error: withoutData(error) });
    this.events.emit({ type: 'engineWarning', message: `${operation} failed: ${reasonOf(error)}` });
  }
}
