import type pg from 'pg';
import type { SqlExecutor, Transaction } from '../connection/executor.js';
import { databaseErrorOf, isConnectionFailure, reasonOf, sqlStateOf } from '../connection/pg-errors.js';
import { inTransaction, type TransactionScope } from '../connection/transaction.js';
import { ClosedError, DatabaseUnreachableError, EnqueueOutcomeUnknownError, InvalidOptionsError, NotOpenError } from '../errors.js';
import type { EventHub } from '../events.js';
import { checkNewJobOptions } from '../option-checks.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { enqueueJobs, type EnqueuedRow } from '../sql/enqueue-jobs.js';
import type { Tables } from '../sql/tables.js';
import { EnqueueBatcher, LARGEST_BATCH, LONGEST_BATCH } from './enqueue-batcher.js';
import type { EnqueuedJob, EnqueueOptions, JobOptions, NewJob } from './enqueue-options.js';
import { checkPayload, encodeJob, type EncodedJob } from './job-text.js';

/** Options of a {@link Publisher}. */
export interface PublisherOptions {
  readonly pool: pg.Pool;
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
}

const NO_OPTIONS: EnqueueOptions = Object.freeze({});

/** Puts jobs in. Usable between `open` and `close` of its engine, by any number of callers at once. */
export class Publisher {
  readonly #batcher: EnqueueBatcher;
  #state: 'new' | 'open' | 'closed' = 'new';

  constructor(private readonly options: PublisherOptions) {
    this.#batcher = new EnqueueBatcher((jobs) => this.#store(jobs));
  }

  /**
   * Stores one job. Resolves once it is committed, or, in a transaction of yours, once it is inserted.
   * Calls made close together without a transaction share one INSERT; each fails or succeeds on its own.
   *
   * @throws InvalidQueueNameError, InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError before anything is sent
   * @throws DatabaseUnreachableError when nothing was stored; EnqueueOutcomeUnknownError when that is unknown
   * @throws ClosedError after the engine was closed
   */
  async enqueue(queue: AnyQueue, payload?: unknown, options: EnqueueOptions = NO_OPTIONS): Promise<EnqueuedJob> {
    this.#assertOpen();
    await checkPayload(queue, payload);
    const job = encodeJob(queue, payload, options, this.options.maxPayloadBytes);
    const tx = options.tx ?? this.options.scope.current;
    const id = tx === undefined ? await this.#batcher.add(job) : (await this.#insert(tx, [job]))[0];
    return this.#enqueued(job, id as string);
  }

  /**
   * Stores many jobs, all or none, and answers with their ids in input order. Any number: they go in chunks, each in one round
   * trip, so memory stays bounded by the input.
   */
  enqueueMany(queue: AnyQueue, payloads: readonly unknown[], options?: EnqueueOptions): Promise<EnqueuedJob[]>;
  enqueueMany(jobs: readonly NewJob[], options?: Pick<EnqueueOptions, 'tx'>): Promise<EnqueuedJob[]>;
  async enqueueMany(first: AnyQueue | readonly NewJob[], second?: readonly unknown[] | Pick<EnqueueOptions, 'tx'>, third?: EnqueueOptions): Promise<EnqueuedJob[]> {
    this.#assertOpen();
    if (isJobList(first)) {
      const { tx } = (second ?? NO_OPTIONS) as Pick<EnqueueOptions, 'tx'>;
      return this.#storeMany(first.length, (index) => this.#encodeMixed(first[index] as NewJob), tx);
    }
    if (!Array.isArray(second)) throw new InvalidOptionsError('enqueueMany', ['the payloads must be an array']);
    const options = third ?? NO_OPTIONS;
    return this.#storeMany(second.length, (index) => this.#encode(first, (second as unknown[])[index], options), options.tx);
  }

  /** Runs `work` in a transaction of the pool; every `enqueue` inside joins it. Commits on return, rolls back on throw. */
  withTransaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return inTransaction(this.options.pool, (client) => this.options.scope.run(client, () => work(client)));
  }

  /** From now on jobs are accepted. */
  open(): void {
    if (this.#state === 'new') this.#state = 'open';
  }

  /** From now on they are not; resolves when those accepted are stored or have failed. */
  async close(): Promise<void> {
    this.#state = 'closed';
    await this.#batcher.flushed();
  }

  #assertOpen(): void {
    if (this.#state === 'closed') throw new ClosedError('enqueue');
    if (this.#state === 'new') throw new NotOpenError('enqueue');
  }

  async #encode(queue: AnyQueue, payload: unknown, options: JobOptions): Promise<EncodedJob> {
    await checkPayload(queue, payload);
    return encodeJob(queue, payload, options, this.options.maxPayloadBytes);
  }

  #encodeMixed(job: NewJob): Promise<EncodedJob> {
    checkNewJobOptions(queueNameOf(job.queue), job);
    const { queue, payload, ...options } = job;
    return this.#encode(queue, payload, options);
  }

  async #storeMany(count: number, encode: (index: number) => Promise<EncodedJob>, given: Transaction | undefined): Promise<EnqueuedJob[]> {
    const tx = given ?? this.options.scope.current;
    if (tx !== undefined) return this.#insertChunks(tx, count, encode);
    const [first, ...rest] = await this.#chunk(0, count, encode);
    if (first === undefined) return [];
    if (rest.length + 1 === count) return this.#announced([first, ...rest], await this.#store([first, ...rest]));
    return this.#committed(() => inTransaction(this.options.pool, (client) => this.#insertChunks(client, count, encode)));
  }

  async #insertChunks(tx: Transaction, count: number, encode: (index: number) => Promise<EncodedJob>): Promise<EnqueuedJob[]> {
    const enqueued: EnqueuedJob[] = [];
    while (enqueued.length < count) {
      const chunk = await this.#chunk(enqueued.length, count, encode);
      enqueued.push(...this.#announced(chunk, await this.#insert(tx, chunk)));
    }
    return enqueued;
  }

  async #chunk(from: number, count: number, encode: (index: number) => Promise<EncodedJob>): Promise<EncodedJob[]> {
    const chunk: EncodedJob[] = [];
    let length = 0;
    for (let index = from; index < count && chunk.length < LARGEST_BATCH && length < LONGEST_BATCH; index += 1) {
      const job = await encode(index);
      chunk.push(job);
      length += job.text.length;
    }
    return chunk;
  }

  /** Stores jobs in a transaction of their own. */
  async #store(jobs: readonly EncodedJob[]): Promise<readonly string[]> {
    const queues = [...new Set(jobs.map((job) => job.queue))];
    const client = await this.#connect();
    let broken: Error | undefined;
    try {
      const { rows } = await client.query<EnqueuedRow>(this.#query(jobs));
      for (const job of jobs) this.options.onCommitted(job.queue, job.delayMs);
      return rows.map((row) => row.id);
    } catch (error) {
      if (sqlStateOf(error) === undefined) broken = error as Error;
      throw isConnectionFailure(error) ? new EnqueueOutcomeUnknownError(queues, { cause: error }) : databaseErrorOf('enqueue', error);
    } finally {
      client.release(broken);
    }
  }

  async #committed(work: () => Promise<EnqueuedJob[]>): Promise<EnqueuedJob[]> {
    const enqueued = await work().catch((error: unknown) => {
      throw isConnectionFailure(error) ? new EnqueueOutcomeUnknownError([], { cause: error }) : databaseErrorOf('enqueueMany', error);
    });
    for (const queue of new Set(enqueued.map((job) => job.queue))) this.options.onCommitted(queue, undefined);
    return enqueued;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.options.pool.connect();
    } catch (error) {
      throw new DatabaseUnreachableError(this.options.target(), reasonOf(error), { cause: error });
    }
  }

  #query(jobs: readonly EncodedJob[]): pg.QueryConfig {
    const { tables, named } = this.options;
    const text = enqueueJobs.text(tables);
    const values = enqueueJobs.values({ jobs: `[${jobs.map((job) => job.text).join(',')}]` });
    return named() ? { name: tables.prefix + enqueueJobs.name, text, values } : { text, values };
  }

  /** Inserts through a transaction of the caller's: any driver or ORM can bind one string. */
  async #insert(tx: SqlExecutor, jobs: readonly EncodedJob[]): Promise<readonly string[]> {
    const { text, values } = this.#query(jobs) as { text: string; values: unknown[] };
    try {
      const result = (await tx.query(text, values)) as EnqueuedRow[] | { rows: EnqueuedRow[] };
      return (Array.isArray(result) ? result : result.rows).map((row) => String(row.id));
    } catch (error) {
      throw databaseErrorOf('enqueue', error);
    }
  }

  #announced(jobs: readonly EncodedJob[], ids: readonly string[]): EnqueuedJob[] {
    return jobs.map((job, index) => this.#enqueued(job, ids[index] as string));
  }

  #enqueued({ queue }: EncodedJob, id: string): EnqueuedJob {
    this.options.events.emit({ type: 'enqueued', queue, jobId: id });
    return { id, queue, deduplicated: false };
  }
}

function isJobList(value: AnyQueue | readonly NewJob[]): value is readonly NewJob[] {
  return Array.isArray(value);
}
