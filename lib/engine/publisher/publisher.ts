import type pg from 'pg';
import { destroy } from '../connection/cluster.js';
import type { SqlExecutor, Transaction } from '../connection/executor.js';
import { databaseErrorOf, isConnectionFailure, reasonOf, spoilsConnection } from '../connection/pg-errors.js';
import { checkOut, type ClientSource } from '../connection/pool.js';
import { inTransaction, type TransactionScope } from '../connection/transaction.js';
import {
  ClosedError,
  DatabaseUnreachableError,
  EmitOutcomeUnknownError,
  EnqueueOutcomeUnknownError,
  InvalidOptionsError,
  NotOpenError,
  TaskmasterError,
} from '../errors.js';
import type { EventHub } from '../events.js';
import { encodeJson } from '../codec/json-codec.js';
import { checkBatchId, checkEmit, checkNewJobOptions, checkResultOptions } from '../option-checks.js';
import type { PayloadEncryption } from '../job/encryption.js';
import type { AnyQueue } from '../job/queue.js';
import type { QueueRules } from '../job/queue-definition.js';
import { queueNameOf } from '../job/queue-name.js';
import { pause } from '../lifecycle/pause.js';
import { emitEvent } from '../sql/emit-events.js';
import { enqueueJobs, type EnqueuedRow, enqueueRules } from '../sql/enqueue-jobs.js';
import type { Tables } from '../sql/tables.js';
import type { BatchBuilder, BatchJobsOptions, EnqueuedBatch } from './batch.js';
import { BatchPublisher } from './batch-publisher.js';
import { encodedAhead, encodedChunks } from './encoded-chunks.js';
import type { EmitOptions } from './emit-options.js';
import { EnqueueBatcher } from './enqueue-batcher.js';
import {
  type EnqueuedJob,
  type EnqueueOptions,
  type JobOptions,
  type NewJob,
  NO_OPTIONS,
} from './enqueue-options.js';
import { type Flow, FlowBuilder, levelsOf } from './flow.js';
import { checkPayload, encodeJob, type EncodedJob, encodeSealedJob } from './job-text.js';
import { inOrderOfKeys, ReducedJobs, reducerOf } from './reduced-jobs.js';
import type { ResultOptions, ResultWatch } from './result-watch.js';
import type { TransactionHint } from './transaction-hint.js';

/** Options of a {@link Publisher}. */
export interface PublisherOptions {
  readonly pool: ClientSource;
  readonly tables: Tables;
  readonly scope: TransactionScope;
  readonly events: EventHub;
  readonly maxPayloadBytes: number;
  /** Whether prepared statements may be named on the pool's connections. */
  readonly named: () => boolean;
  /** `host:port/database`, for messages. */
  readonly target: () => string;
  /** A job is committed, and due in so many milliseconds; `undefined`: ready. */
  readonly onCommitted: (queue: string, delayMs: number | undefined) => void;
  /** An event is committed. */
  readonly onEmitted: () => void;
  /** What is known here of a queue that is given by its name. */
  readonly rulesOf: (queue: string) => QueueRules | undefined;
  readonly results: ResultWatch;
  /** In development. */
  readonly hint: TransactionHint | undefined;
}

/** Options of {@link Publisher.call}. */
export interface CallOptions extends JobOptions, ResultOptions {}

/** What statements that are under way at the end are given to come back, in milliseconds. */
const CLOSE_MS = 2_000;

/** Puts jobs in. Usable between `open` and `close` of its engine, by any number of callers at once. */
export class Publisher {
  readonly #batcher: EnqueueBatcher;
  readonly #batches: BatchPublisher;
  readonly #reducing: ReducedJobs;
  /** The pool, with errors of ours. */
  readonly #pool = { connect: () => this.#connect() };
  readonly #calls = new Set<Promise<unknown>>();
  /** Clients with a statement of ours under way. */
  readonly #sending = new Set<pg.PoolClient>();
  #state: 'new' | 'open' | 'closed' = 'new';
  #abandoned = false;

  constructor(private readonly options: PublisherOptions) {
    this.#batcher = new EnqueueBatcher((jobs) => this.#store(jobs));
    this.#reducing = new ReducedJobs({
      tables: options.tables,
      rulesOf: ({ queue }) => this.#rulesOf(queue),
      encode: (job) => this.#encodeMixed(job),
      insert: (tx, jobs) => this.#insert(tx, jobs),
    });
    this.#batches = new BatchPublisher({
      tables: options.tables,
      encode: (job) => this.#encodeMixed(job),
      enqueueMany: (jobs, tx) => this.enqueueMany(jobs, tx),
      transaction: (given, work) => this.#inGiven(given, work),
    });
  }

  /**
   * Stores one job. Resolves once it is committed, or, in a transaction of yours, once it is inserted.
   * Calls made close together without a transaction share one INSERT; each fails or succeeds on its own.
   *
   * @throws InvalidQueueNameError, InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError before anything is sent
   * @throws DatabaseUnreachableError when nothing was stored; EnqueueOutcomeUnknownError when that is unknown
   * @throws ClosedError after the engine was closed
   */
  async enqueue(
    queue: AnyQueue,
    payload?: unknown,
    options: EnqueueOptions = NO_OPTIONS,
  ): Promise<EnqueuedJob> {
    this.#assertOpen();
    if (options.unique !== undefined && reducerOf(options) !== undefined)
      return (
        await this.#waitedFor(this.#storeReduced([{ ...options, queue, payload }], options.tx))
      )[0] as EnqueuedJob;
    await checkPayload(queue, payload);
    const job = await this.#text(queue, payload, options);
    const tx = options.tx ?? this.options.scope.current;
    this.options.hint?.look(job.queue, tx);
    const row = tx === undefined ? await this.#batcher.add(job) : (await this.#insert(tx, [job]))[0];
    return this.#enqueued(job.queue, row as EnqueuedRow);
  }

  /**
   * Stores many jobs, all or none, and answers with their ids in input order. Any number: they go in chunks, each in one round
   * trip, so memory stays bounded by the input.
   */
  enqueueMany(
    queue: AnyQueue,
    payloads: readonly unknown[],
    options?: EnqueueOptions,
  ): Promise<EnqueuedJob[]>;
  enqueueMany(jobs: readonly NewJob[], options?: Pick<EnqueueOptions, 'tx'>): Promise<EnqueuedJob[]>;
  async enqueueMany(
    first: AnyQueue | readonly NewJob[],
    second?: readonly unknown[] | Pick<EnqueueOptions, 'tx'>,
    third?: EnqueueOptions,
  ): Promise<EnqueuedJob[]> {
    this.#assertOpen();
    if (isJobList(first)) {
      const { tx } = (second ?? NO_OPTIONS) as Pick<EnqueueOptions, 'tx'>;
      if (first.some((job) => reducerOf(job) !== undefined))
        return this.#waitedFor(this.#storeReduced(first, tx));
      return this.#waitedFor(
        this.#storeMany(first.length, (index) => this.#encodeMixed(first[index] as NewJob), tx),
      );
    }
    if (!Array.isArray(second))
      throw new InvalidOptionsError('enqueueMany', ['the payloads must be an array']);
    const options = third ?? NO_OPTIONS;
    if (reducerOf(options) !== undefined) {
      const jobs = (second as unknown[]).map((payload) => ({ ...options, queue: first, payload }));
      return this.#waitedFor(this.#storeReduced(jobs, options.tx));
    }
    return this.#waitedFor(
      this.#storeMany(
        second.length,
        (index) => this.#encode(first, (second as unknown[])[index], options),
        options.tx,
      ),
    );
  }

  /**
   * Stores a job and waits for what its handler returns.
   *
   * @throws as {@link enqueue} and {@link result}; InvalidOptionsError inside a transaction, which the job would wait for
   */
  async call<Result = unknown>(
    queue: AnyQueue,
    payload?: unknown,
    options: CallOptions = NO_OPTIONS,
  ): Promise<Result> {
    const { timeoutMs, signal, ...jobOptions } = options;
    if ((options as EnqueueOptions).tx !== undefined || this.options.scope.current !== undefined)
      throw new InvalidOptionsError('call', [
        'tx: the job would run only after the transaction that waits for it',
      ]);
    const { id } = await this.enqueue(queue, payload, { ...jobOptions, keepResult: true });
    const waiting = { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) };
    return (await this.#result(id, waiting, this.#rulesOf(queue)?.encryption)) as Result;
  }

  /**
   * Waits for a job to end and answers with what its handler returned. The result is there when it was asked for before the job was
   * claimed, or is kept by its queue.
   *
   * @throws JobFailedError when the job failed or was cancelled; ResultTimeoutError; ResultNotKeptError; the signal's reason;
   * PayloadEncryptionError where the result is encrypted and its queue not known here
   */
  async result(jobId: string, options: ResultOptions = {}): Promise<unknown> {
    return this.#result(jobId, options);
  }

  /**
   * Stores a graph of jobs, all or none: `build` adds them, each with the jobs of the graph that it depends on. What
   * parents return is kept for their children, see `job.parents()`.
   *
   * @throws as {@link enqueue}
   */
  async flow(
    build: (flow: Flow) => void,
    options: Pick<EnqueueOptions, 'tx'> = NO_OPTIONS,
  ): Promise<EnqueuedJob[]> {
    this.#assertOpen();
    const builder = new FlowBuilder();
    build(builder);
    return this.#inGiven(options.tx, (tx) => this.#storeFlow(builder, tx));
  }

  /**
   * Stores jobs that are counted together, all or none, and says what is enqueued when the last of them has ended: each callback at most
   * once, with the counts in `job.batch`. A batch without jobs ends at once.
   *
   * @throws as {@link enqueue}
   */
  batch(
    build: (batch: BatchBuilder) => void,
    options: BatchJobsOptions = NO_OPTIONS,
  ): Promise<EnqueuedBatch> {
    this.#assertOpen('batch');
    return this.#waitedFor(this.#batches.batch(build, options));
  }

  /**
   * No job is added to the batch from outside any more: it ends with the last of its jobs, or now. Its jobs can still add others.
   *
   * @returns false when it was closed, or there is none
   */
  async closeBatch(
    batch: string | { readonly id: string },
    options: Pick<EnqueueOptions, 'tx'> = NO_OPTIONS,
  ): Promise<boolean> {
    this.#assertOpen('closeBatch');
    return this.#waitedFor(this.#batches.close(checkBatchId('closeBatch', batch), options.tx));
  }

  /**
   * Wakes all jobs that wait for this event; it is their payload. Resolves once it is committed, or, in a transaction of yours, once it is stored.
   *
   * @param event of at most 256 bytes, such as `order:42:paid`
   * @throws InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError before anything is sent
   * @throws DatabaseUnreachableError when nothing was emitted; EmitOutcomeUnknownError when that is unknown
   * @throws ClosedError after the engine was closed
   */
  async emit(event: string, payload?: unknown, options: EmitOptions = NO_OPTIONS): Promise<void> {
    this.#assertOpen('emit');
    checkEmit(event, options);
    const args = {
      event,
      payload: encodeJson(payload, { maxBytes: this.options.maxPayloadBytes }),
      keepMs: options.keepMs ?? 0,
    };
    const query = { text: emitEvent.text(this.options.tables), values: emitEvent.values(args) };
    const tx = options.tx ?? this.options.scope.current;
    if (tx === undefined) return this.#waitedFor(this.#emit(event, query));
    try {
      await tx.query(query.text, query.values);
    } catch (error) {
      throw databaseErrorOf('emit', error);
    }
  }

  /** Runs `work` in a transaction of the pool; every `enqueue` inside joins it. Commits on return, rolls back on throw. */
  withTransaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return inTransaction(this.#pool, (client) => this.options.scope.run(client, () => work(client)));
  }

  /** From now on jobs are accepted. */
  open(): void {
    if (this.#state === 'new') this.#state = 'open';
  }

  /**
   * From now on they are not; resolves when those accepted are stored or have failed. A statement that does not come back, such
   * as one that waits for a lock, is cut off after a while: whether its jobs are stored is unknown then.
   */
  async close(): Promise<void> {
    this.#state = 'closed';
    await this.options.results.close(new ClosedError('result'));
    const over = new AbortController();
    await Promise.race([
      Promise.allSettled([this.#batcher.flushed(), ...this.#calls]),
      pause(CLOSE_MS, over.signal),
    ]);
    over.abort();
    this.#abandoned = true;
    for (const client of this.#sending) destroy(client);
  }

  /**
   * Jobs of which some have a reducer, one by one in one transaction. In the order of their queues and keys, so that two calls do not wait for
   * each other in a circle.
   */
  #storeReduced(jobs: readonly NewJob[], given: Transaction | undefined): Promise<EnqueuedJob[]> {
    return this.#inGiven(given, async (tx) => {
      const stored = jobs.map((): EnqueuedJob | undefined => undefined);
      for (const place of inOrderOfKeys(jobs)) {
        const { tx: _, ...job } = jobs[place] as NewJob & { readonly tx?: Transaction };
        const row =
          reducerOf(job) === undefined
            ? (await this.#insert(tx, [await this.#encodeMixed(job)]))[0]
            : await this.#reducing.store(tx, job);
        stored[place] = this.#enqueued(queueNameOf(job.queue), row as EnqueuedRow);
      }
      return stored as EnqueuedJob[];
    });
  }

  /** In the caller's transaction, in the ambient one, or in one of its own. */
  #inGiven<T>(given: Transaction | undefined, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const tx = given ?? this.options.scope.current;
    return tx === undefined ? this.withTransaction(work) : work(tx);
  }

  async #result(jobId: string, options: ResultOptions, encryption?: PayloadEncryption): Promise<unknown> {
    this.#assertOpen();
    checkResultOptions(jobId, options);
    return this.options.results.result(jobId, options, encryption);
  }

  /** Parents first: the ids of a level are known when the next one is stored. */
  async #storeFlow(builder: FlowBuilder, tx: Transaction): Promise<EnqueuedJob[]> {
    for (const level of levelsOf(builder.nodes)) {
      const stored = await this.enqueueMany(
        level.map((node) => node.job()),
        { tx },
      );
      level.forEach((node, index) => node.stored(stored[index] as EnqueuedJob));
    }
    return builder.nodes.map((node) => node.enqueued as EnqueuedJob);
  }

  /** A call that {@link close} waits for. */
  async #waitedFor<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call);
    return call.finally(() => this.#calls.delete(call));
  }

  #assertOpen(operation = 'enqueue'): void {
    if (this.#state === 'closed') throw new ClosedError(operation);
    if (this.#state === 'new') throw new NotOpenError(operation);
  }

  async #encode(queue: AnyQueue, payload: unknown, options: JobOptions): Promise<EncodedJob> {
    await checkPayload(queue, payload);
    return this.#text(queue, payload, options);
  }

  /** A promise only where the payload is encrypted: everything else is on the hot path. */
  #text(queue: AnyQueue, payload: unknown, options: JobOptions): EncodedJob | Promise<EncodedJob> {
    const rules = this.#rulesOf(queue);
    const encode = rules?.encryption === undefined ? encodeJob : encodeSealedJob;
    return encode(queue, payload, options, this.options.maxPayloadBytes, rules);
  }

  #rulesOf(queue: AnyQueue): QueueRules | undefined {
    return (
      this.options.rulesOf(queueNameOf(queue)) ?? (typeof queue === 'string' ? undefined : queue.options)
    );
  }

  #encodeMixed(job: NewJob): Promise<EncodedJob> {
    checkNewJobOptions(queueNameOf(job.queue), job);
    const { queue, payload, ...options } = job;
    return this.#encode(queue, payload, options);
  }

  async #storeMany(
    count: number,
    encode: (index: number) => Promise<EncodedJob>,
    given: Transaction | undefined,
  ): Promise<EnqueuedJob[]> {
    const tx = given ?? this.options.scope.current;
    const chunks = encodedAhead(encodedChunks(count, encode));
    if (tx !== undefined) return this.#announced(await this.#insertAll(tx, chunks));
    const { value: first } = await chunks.next();
    if (first === undefined) return [];
    if (first.length === count) return this.#announced(storedJobs(first, await this.#store(first)));
    return this.#announced(await this.#storeAll(first, chunks));
  }

  /** Stores jobs by one statement, in a transaction of its own. */
  async #store(jobs: readonly EncodedJob[]): Promise<readonly EnqueuedRow[]> {
    const rows = await this.#send<EnqueuedRow>(this.#query(jobs), (error) => outcomeOf(error, jobs));
    this.#committed(jobs);
    return rows;
  }

  async #emit(event: string, query: pg.QueryConfig): Promise<void> {
    await this.#send(query, (error) =>
      isConnectionFailure(error)
        ? new EmitOutcomeUnknownError(event, { cause: error })
        : databaseErrorOf('emit', error),
    );
    this.options.onEmitted();
  }

  /** Runs one statement in a transaction of its own. */
  async #send<Row extends pg.QueryResultRow>(
    query: pg.QueryConfig,
    failureOf: (error: unknown) => TaskmasterError,
  ): Promise<readonly Row[]> {
    const { client, release } = await checkOut(this.#pool);
    let broken: Error | undefined;
    this.#sending.add(client);
    try {
      return (await client.query<Row>(query)).rows;
    } catch (error) {
      if (spoilsConnection(error)) broken = error as Error;
      throw failureOf(error);
    } finally {
      this.#sending.delete(client);
      release(broken);
    }
  }

  /** Stores more jobs than one statement takes, in one transaction. What fails before its COMMIT has stored nothing for certain. */
  async #storeAll(
    first: readonly EncodedJob[],
    others: AsyncIterable<readonly EncodedJob[]>,
  ): Promise<readonly StoredJob[]> {
    let inserted: readonly StoredJob[] | undefined;
    let sending: pg.PoolClient | undefined;
    const work = async (client: pg.PoolClient) => {
      this.#sending.add((sending = client));
      const stored = storedJobs(first, await this.#insert(client, first));
      inserted = await this.#insertAll(client, others, stored);
      return inserted;
    };
    try {
      const stored = await inTransaction(this.#pool, work);
      this.#committed(stored);
      return stored;
    } catch (error) {
      throw inserted === undefined ? error : outcomeOf(error, inserted);
    } finally {
      if (sending !== undefined) this.#sending.delete(sending);
    }
  }

  async #insertAll(
    tx: Transaction,
    chunks: AsyncIterable<readonly EncodedJob[]>,
    stored: StoredJob[] = [],
  ): Promise<StoredJob[]> {
    for await (const chunk of chunks) stored.push(...storedJobs(chunk, await this.#insert(tx, chunk)));
    return stored;
  }

  #committed(jobs: readonly Pick<EncodedJob, 'queue' | 'delayMs'>[]): void {
    for (const { queue, delayMs } of jobs) this.options.onCommitted(queue, delayMs);
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#abandoned) throw new ClosedError('enqueue');
    try {
      return await this.options.pool.connect();
    } catch (error) {
      throw new DatabaseUnreachableError(this.options.target(), reasonOf(error), { cause: error });
    }
  }

  #query(jobs: readonly EncodedJob[]): pg.QueryConfig {
    const { tables, named } = this.options;
    const statement = jobs.some((job) => job.ruled) ? enqueueRules : enqueueJobs;
    const text = statement.text(tables);
    const values = statement.values({ jobs: `[${jobs.map((job) => job.text).join(',')}]` });
    return named() ? { name: tables.prefix + statement.name, text, values } : { text, values };
  }

  /** Inserts through a transaction of the caller's: any driver or ORM can bind one string. */
  async #insert(tx: SqlExecutor, jobs: readonly EncodedJob[]): Promise<readonly (EnqueuedRow | null)[]> {
    const { text, values } = this.#query(jobs) as { text: string; values: unknown[] };
    try {
      const result = (await tx.query(text, values)) as EnqueuedRow[] | { rows: EnqueuedRow[] };
      return (Array.isArray(result) ? result : result.rows).map((row) =>
        row.id === null ? null : { ...row, id: String(row.id) },
      );
    } catch (error) {
      throw databaseErrorOf('enqueue', error);
    }
  }

  #announced(jobs: readonly StoredJob[]): EnqueuedJob[] {
    return jobs.map((job) => this.#enqueued(job.queue, job));
  }

  #enqueued(queue: string, { id, deduplicated = false }: EnqueuedRow): EnqueuedJob {
    if (!deduplicated) this.options.events.emit({ type: 'enqueued', queue, jobId: id });
    return { id, queue, deduplicated };
  }
}

/** What is kept of a job that is stored: not its text, of which there may be much. */
type StoredJob = Pick<EncodedJob, 'queue' | 'delayMs'> & EnqueuedRow;

function storedJobs(jobs: readonly EncodedJob[], rows: readonly (EnqueuedRow | null)[]): StoredJob[] {
  return jobs.map(({ queue, delayMs }, index) => ({ queue, delayMs, ...(rows[index] as EnqueuedRow) }));
}

/** Why a statement that stores jobs by itself, or a COMMIT that does, has failed. */
function outcomeOf(error: unknown, jobs: readonly Pick<EncodedJob, 'queue'>[]): TaskmasterError {
  if (!isConnectionFailure(error)) return databaseErrorOf('enqueue', error);
  const queues = [...new Set(jobs.map((job) => job.queue))];
  return new EnqueueOutcomeUnknownError(queues, { cause: error });
}

function isJobList(value: AnyQueue | readonly NewJob[]): value is readonly NewJob[] {
  return Array.isArray(value);
}
