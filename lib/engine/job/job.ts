import type pg from 'pg';
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
}

/** The options of a job that only the worker reads; stored as one JSON column. */
export interface JobMeta {
  readonly headers?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly timeoutMs?: number | 'Infinity';
  /** A backoff that is data: functions cannot be stored with a job. */
  readonly backoff?: unknown;
}

/** What an attempt lends its job: filled in by the worker. */
export interface JobContext {
  readonly signal: AbortSignal;
  readonly maxAttempts: number;
  /** Present in transactional handlers. */
  readonly tx: pg.PoolClient | undefined;
  transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T>;
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
  /** Aborted when the attempt should end: timeout, lost lease, shutdown. Its `reason` is the error that says which. */
  get signal(): AbortSignal {
    return this.#context.signal;
  }
  /** The transaction of a `transactional` handler: what is written through it commits together with the ack. */
  get tx(): pg.PoolClient | undefined {
    return this.#context.tx;
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
