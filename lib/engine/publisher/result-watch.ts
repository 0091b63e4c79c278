import { unsealError } from '../codec/sealed-error.js';
import { unsealFor } from '../codec/sealed.js';
import type { StatementPool } from '../connection/statement-pool.js';
import { JobFailedError, ResultNotKeptError, ResultTimeoutError } from '../errors.js';
import type { JobError } from '../events.js';
import type { EncryptionOf, PayloadEncryption } from '../job/encryption.js';
import { Deferred } from '../lifecycle/deferred.js';
import { pause } from '../lifecycle/pause.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import { awaitResults, jobResults, type JobResultRow } from '../sql/job-results.js';

/** How to wait for a result. */
export interface ResultOptions {
  /** Milliseconds. @default 60_000 */
  readonly timeoutMs?: number;
  /** Ends the wait; the job goes on. */
  readonly signal?: AbortSignal;
}

/** Hears of jobs that have ended. */
export interface EndListener {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whether it hears, proven. */
  readonly healthy: boolean;
}

/** Options of a {@link ResultWatch}. */
export interface ResultWatchOptions {
  readonly statements: StatementPool;
  readonly encryptionOf: EncryptionOf;
  /** Makes what hears of jobs that have ended, and calls with their ids, or without one when some may have been missed. */
  readonly listen: (onEnded: (jobId: string | undefined) => void) => EndListener | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Between two looks, at first and at most; the latter is shorter where nobody tells. */
const FIRST_POLL_MS = 50;
const GROWTH = 1.5;
const LONGEST_POLL_MS = 5_000;
const LONGEST_UNTOLD_MS = 500;

/**
 * Everybody in this process who waits for a job to end. Told by notification, on a connection that is made when somebody first
 * waits; looks from time to time all the same. One statement asks for all.
 */
export class ResultWatch {
  readonly #waiting = new Map<string, Set<Deferred<JobResultRow>>>();
  readonly #wakeup = new Wakeup();
  readonly #closed = new AbortController();
  #listener: EndListener | undefined;
  #listening = false;
  #loop: Promise<void> | undefined;
  #pollMs = FIRST_POLL_MS;

  constructor(private readonly options: ResultWatchOptions) {}

  /**
   * What the handler of a job returned.
   *
   * @param known how its queue is encrypted, where the caller knows
   * @throws JobFailedError when it failed or was cancelled; ResultTimeoutError; ResultNotKeptError when it is gone; the signal's reason;
   * PayloadEncryptionError when the result cannot be decrypted here
   */
  async result(
    jobId: string,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ResultOptions = {},
    known?: PayloadEncryption,
  ): Promise<unknown> {
    signal?.throwIfAborted();
    const over = new AbortController();
    const ended = new Deferred<JobResultRow>();
    this.#add(jobId, ended);
    const onAbort = () => ended.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    void pause(timeoutMs, over.signal).then(() => ended.reject(new ResultTimeoutError(jobId, timeoutMs)));
    try {
      return await resultOf(
        await ended.promise,
        known === undefined ? this.options.encryptionOf : () => known,
      );
    } finally {
      over.abort();
      signal?.removeEventListener('abort', onAbort);
      this.#remove(jobId, ended);
    }
  }

  /** Nobody waits any more. */
  async close(reason: Error): Promise<void> {
    this.#closed.abort();
    for (const waiting of this.#waiting.values()) for (const each of waiting) each.reject(reason);
    this.#wakeup.call();
    await this.#listener?.stop();
    await this.#loop;
  }

  #add(jobId: string, ended: Deferred<JobResultRow>): void {
    const waiting = this.#waiting.get(jobId) ?? new Set();
    this.#waiting.set(jobId, waiting.add(ended));
    this.#pollMs = FIRST_POLL_MS;
    this.#listen();
    this.#wakeup.call();
    this.#start();
  }

  /** A wait may begin while the loop of those before is about to end. */
  #start(): void {
    this.#loop ??= this.#watch().finally(() => {
      this.#loop = undefined;
      if (this.#waiting.size > 0 && !this.#closed.signal.aborted) this.#start();
    });
  }

  #remove(jobId: string, ended: Deferred<JobResultRow>): void {
    const waiting = this.#waiting.get(jobId);
    waiting?.delete(ended);
    if (waiting?.size === 0) this.#waiting.delete(jobId);
    if (this.#waiting.size === 0) this.#wakeup.call();
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#listener = this.options.listen((jobId) => {
      if (jobId === undefined || this.#waiting.has(jobId)) this.#wakeup.call();
    });
    void this.#listener?.start();
  }

  async #watch(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#closed.signal.aborted) {
      await this.#look().catch((error: unknown) => this.#failAll(error));
      if (this.#waiting.size === 0) return;
      const longestMs = this.#listener?.healthy === true ? LONGEST_POLL_MS : LONGEST_UNTOLD_MS;
      this.#pollMs = Math.min(this.#pollMs * GROWTH, longestMs);
      await this.#wakeup.wait(this.#pollMs);
    }
  }

  /** Asks for the end to be told, then looks: whatever ends after the first is told. */
  async #look(): Promise<void> {
    const ids = [...this.#waiting.keys()];
    const { statements } = this.options;
    await statements.run('result', awaitResults, { ids });
    for (const row of await statements.run('result', jobResults, { ids })) {
      if (row.state === 'waiting') continue;
      for (const ended of this.#waiting.get(row.id) ?? []) ended.resolve(row);
      this.#waiting.delete(row.id);
    }
  }

  #failAll(error: unknown): void {
    for (const waiting of this.#waiting.values()) for (const each of waiting) each.reject(error);
    this.#waiting.clear();
  }
}

async function resultOf(
  { id, state, result, error }: JobResultRow,
  encryptionOf: EncryptionOf,
): Promise<unknown> {
  switch (state) {
    case 'completed':
      return result === null ? undefined : unsealFor(JSON.parse(result), 'result', encryptionOf);
    case 'failed':
    case 'cancelled':
      throw new JobFailedError(
        id,
        state,
        error === null ? undefined : await unsealError(JSON.parse(error) as JobError, encryptionOf),
      );
    case 'waiting':
    case null:
      throw new ResultNotKeptError(id);
  }
}
