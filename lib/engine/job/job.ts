import type pg from 'pg';
import { type DeadLetter, deadLetterOf, type StoredDeadLetter } from './dead-letter.js';
import type { StoredReprocessed } from './reprocessed.js';
import type { DurableSteps, StepOptions, StepResult, StepWork, WaitOptions } from './step.js';

/** What a claim tells about a job. Made by the row reader of the claim statements. */
export interface ClaimedJob {
  readonly id: string;
  /** Position in the ready order and token of this attempt; every settlement matches it. */
  readonly seq: string;
  readonly queue: string;
  readonly priority: number;
  /** Attempts that have ended before this one. */
  readonly runCount: number;
  readonly crashCount: number;
  /** From the enqueue; `undefined`: the queue's policy decides. */
  readonly maxAttempts: number | undefined;
  /** ISO 8601. */
  readonly createdAt: string;
  /** ISO 8601; when the job became runnable. */
  readonly readyAt: string;
  readonly group: string | undefined;
  /** Bits of {@link JOB_FLAGS}. */
  readonly flags: number;
  readonly meta: JobMeta;
  readonly payload: unknown;
  /** The lease that holds it. */
  readonly leaseId: string;
  /** The text it came in spells `__proto__` somewhere, as only raw SQL could store it: to be cleaned. */
  readonly suspect: boolean;
  /** Runs with nothing else in the process: its last chance after crashes. */
  readonly alone: boolean;
  /** After this time, by `performance.now()`, it must not begin. `undefined`: it may for ever. */
  readonly expiresAt: number | undefined;
}

/** The options of a job that only the worker reads; stored as one JSON column. */
export interface JobMeta {
  readonly headers?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly timeoutMs?: number | 'Infinity';
  /** A backoff that is data: functions cannot be stored with a job. */
  readonly backoff?: unknown;
  /** Name of the schedule that fired it. */
  readonly schedule?: string;
  /** ISO 8601; the due time for which it was fired. */
  readonly scheduledFor?: string;
  /** The batch it counts in; of a callback, what its batch has come to. */
  readonly batch?: BatchInfo;
  /** Version of the payload. @default 1 */
  readonly version?: number;
  /** Number of an attempt that `retry` has granted beyond `maxAttempts`. */
  readonly granted?: number;
  /** Where a dead letter comes from; written by the database. */
  readonly deadLetter?: StoredDeadLetter;
  /** The kept job that was enqueued again as this one; written by the database. */
  readonly reprocessed?: StoredReprocessed;
  /** Milliseconds from the claim until the job expires; made by the claim. */
  readonly expiresInMs?: number;
}

/** The batch of a job: its id, and for a job that was enqueued at the end of one what it has come to. */
export interface BatchInfo {
  readonly id: string;
  readonly total?: number;
  readonly completed?: number;
  readonly failed?: number;
  readonly cancelled?: number;
}

/** A job that another depends on, and what it has come to. */
export interface ParentResult {
  readonly id: string;
  /** `undefined` where nothing of it is kept. */
  readonly queue: string | undefined;
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  /** What its handler returned, where that is kept: always in a flow. */
  readonly result: unknown;
}

/** What an attempt lends its job: filled in by the worker. */
export interface JobContext {
  readonly signal: AbortSignal;
  readonly maxAttempts: number;
  /** Present in transactional handlers. */
  readonly tx: pg.PoolClient | undefined;
  transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T>;
  progress(value: unknown): void;
  log(line: string): void;
  parents(): Promise<ParentResult[]>;
  readonly steps: DurableSteps;
}

const NO_OPTIONS = Object.freeze({});

/** One attempt at a job, as the handler sees it. */
export class Job<Payload = unknown> {
  readonly #claimed: ClaimedJob;
  readonly #context: JobContext;

  /** @param payload what the handler gets: decoded, and validated where the queue has a schema */
  constructor(
    claimed: ClaimedJob,
    context: JobContext,
    readonly payload: Payload,
  ) {
    this.#claimed = claimed;
    this.#context = context;
  }

  /** A bigint as a string; stable over attempts, so a good idempotency key for the outside world. */
  get id(): string {
    return this.#claimed.id;
  }
  get queue(): string {
    return this.#claimed.queue;
  }
  /** Number of this attempt, 1 for the first. */
  get runCount(): number {
    return this.#claimed.runCount + 1;
  }
  get maxAttempts(): number {
    return this.#context.maxAttempts;
  }
  /** Smaller runs first. */
  get priority(): number {
    return this.#claimed.priority;
  }
  get createdAt(): Date {
    return new Date(this.#claimed.createdAt);
  }
  /** When the job became runnable: its enqueue, the end of its delay, or the end of the wait for this attempt. */
  get runAt(): Date {
    return new Date(this.#claimed.readyAt);
  }
  get group(): string | undefined {
    return this.#claimed.group;
  }
  get tags(): readonly string[] {
    return this.#claimed.meta.tags ?? [];
  }
  get headers(): Readonly<Record<string, string>> {
    return this.#claimed.meta.headers ?? {};
  }
  /** Name of the schedule that fired it; `undefined` for jobs that were enqueued. */
  get schedule(): string | undefined {
    return this.#claimed.meta.schedule;
  }
  /** The due time for which its schedule fired it, the time of the call when it was triggered; `undefined` for jobs that were enqueued. */
  get scheduledFor(): Date | undefined {
    const { scheduledFor } = this.#claimed.meta;
    return scheduledFor === undefined ? undefined : new Date(scheduledFor);
  }
  /** In a dead letter, the copy of a job that has failed for good: which job that was, and why. */
  get deadLetter(): DeadLetter | undefined {
    return deadLetterOf(this.#claimed.meta.deadLetter);
  }
  /** The batch that it counts in, or whose end it was enqueued for: see `publisher.batch()`. */
  get batch(): BatchInfo | undefined {
    return this.#claimed.meta.batch;
  }
  /** Aborted when the attempt should end: timeout, lost lease, shutdown. Its `reason` is the error that says which. */
  get signal(): AbortSignal {
    return this.#context.signal;
  }
  /** The transaction of a `transactional` handler: what is written through it commits together with the ack. */
  get tx(): pg.PoolClient | undefined {
    return this.#context.tx;
  }

  /**
   * Says how far the job is: any JSON of at most 16 kB, such as a number from 0 to 100. The last word counts, and is stored with the job
   * within a tenth of a second.
   *
   * @throws InvalidPayloadError, PayloadTooLargeError for what cannot be stored
   */
  progress(value: unknown): void {
    this.#context.progress(value);
  }

  /** Adds a line to the job's log: of at most 1,000 characters, the newest 100 lines are kept. */
  log(line: string): void {
    this.#context.log(line);
  }

  /** What the jobs have come to that this one depends on, in the order of their ids. */
  parents(): Promise<ParentResult[]> {
    return this.#context.parents();
  }

  /**
   * Runs `work` in a transaction that also acks the job: its writes and the ack commit together, or neither does.
   * The lease is checked first and the job's row stays locked until the commit. After it the handler's return value no longer matters.
   *
   * @throws LeaseLostError when the job no longer belongs to this worker; nothing is written
   * @throws JobTransactionError when called twice, or after the attempt has ended
   */
  transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#context.transaction(work);
  }

  /**
   * Does something once in the life of the job and remembers its result: later attempts get the result and `work` is not called. What `work` throws
   * is not remembered. It may happen again when the process dies before its result is stored, unless it is `transactional`.
   * The result is JSON, also the first time: a `Date` comes back as text. Steps under way in parallel are fine, a step in a step is not.
   *
   * @param name tells it from the other steps of the job, in at most 256 bytes; a second call with it gets the same result
   * @throws LeaseLostError when the job no longer belongs to this worker; nothing is remembered
   * @throws InvalidStepResultError, JobStepError, InvalidOptionsError
   */
  step<T>(name: string, work: () => T | PromiseLike<T>): Promise<StepResult<T>>;
  step<T>(
    name: string,
    options: StepOptions & { readonly transactional: true },
    work: (tx: pg.PoolClient) => T | PromiseLike<T>,
  ): Promise<StepResult<T>>;
  step(name: string, first: StepOptions | StepWork, second?: StepWork): Promise<unknown> {
    const [options, work] = typeof first === 'function' ? [NO_OPTIONS, first] : [first, second];
    return this.#context.steps.step(name, work as StepWork, options);
  }

  /**
   * Gives the slot back and goes on after so many milliseconds, by the database's clock: the attempt ends here, by an error that must not be
   * caught, without counting, and the handler runs again from its beginning, past its remembered steps, until this call returns at once.
   * Steps that are under way in parallel are waited for first.
   *
   * @param name tells it from other sleeps of the job; without one their order does
   * @throws SleepOutcome
   */
  sleep(ms: number): Promise<void>;
  sleep(name: string, ms: number): Promise<void>;
  sleep(first: string | number, second?: number): Promise<void> {
    return typeof first === 'string'
      ? this.#context.steps.sleep(first, second as number)
      : this.#context.steps.sleep(undefined, first);
  }

  /**
   * As {@link sleep}, until somebody emits the event, and resolves with its payload; or with `undefined` when `timeoutMs` is over, which
   * stays so. Each wait of a job gets an event that the job has not had yet. What was emitted before the first call is missed, unless it was
   * kept: see `keepMs` of `emit`.
   *
   * @param event of at most 256 bytes, such as `order:42:paid`
   * @throws SleepOutcome
   */
  waitForEvent<T = unknown>(event: string, options: WaitOptions = NO_OPTIONS): Promise<T | undefined> {
    return this.#context.steps.waitForEvent(event, options) as Promise<T | undefined>;
  }
}
