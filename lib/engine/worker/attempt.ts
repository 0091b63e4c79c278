import type pg from 'pg';
import { safePayload } from '../codec/json-codec.js';
import { validateStored } from '../codec/payload-schema.js';
import { MadeResult, resultText, sealedResultText } from '../codec/result-text.js';
import { isSealed, unseal } from '../codec/sealed.js';
import { sealError } from '../codec/sealed-error.js';
import {
  InvalidJobPayloadError,
  JobCancelledError,
  JobStepError,
  JobTimeoutError,
  JobTransactionError,
  PayloadEncryptionError,
} from '../errors.js';
import type { Handler } from '../job/handler.js';
import { type ClaimedJob, Job, type JobContext, type ParentResult } from '../job/job.js';
import { JOB_FLAGS } from '../job/job-flags.js';
import { keepMsOf } from '../job/retention.js';
import { type Outcome, outcomeOfReturn, outcomeOfThrow } from '../job/outcome-of.js';
import { EXPIRED } from '../job/job-expired.js';
import { payloadVersionOf, upcast } from '../job/payload-version.js';
import { type RetryPolicy, type Settlement, settlementOf } from '../job/settlement.js';
import { MAX_TIMER_MS } from '../option-checker.js';
import type { Backoff } from '../retry/backoff.js';
import { mostAttempts, ruleFor } from '../retry/error-rule.js';
import { delayOf } from '../retry/retry-delay.js';
import type { JobNotes } from './job-notes.js';
import { JobSteps } from './job-steps.js';
import { RolledBack, type JobTransactions } from './job-transactions.js';
import type { StepStore } from './step-store.js';

/** An attempt that has ended, and how it is to be settled. */
export interface EndedAttempt {
  readonly claimed: ClaimedJob;
  readonly settlement: Settlement;
  /** How long the job is to be kept, in milliseconds: 0 not at all, `Infinity` for ever. */
  readonly keepMs: number;
  /** Time in the handler, in milliseconds. */
  readonly runMs: number;
  /** When, by the clock of this process, in milliseconds since 1970. */
  readonly endedAt: number;
  /** It is stored already: the ack by the job's own transaction, the sleep by the attempt. */
  readonly stored: boolean;
}

/** What an attempt needs from the worker it runs in. */
export interface AttemptContext {
  readonly handler: Handler;
  /** The handler inside the middleware. */
  readonly handle: (job: Job) => unknown;
  readonly transactions: JobTransactions;
  readonly notes: JobNotes;
  readonly steps: StepStore;
  /** The outcome is decided: called once, and before the attempt's promise resolves. */
  readonly onEnded: (ended: EndedAttempt) => void;
  /** The handler has outlived its timeout. */
  readonly onStuck: (claimed: ClaimedJob) => void;
  /** A function of the queue's options threw, or answered nonsense: the default backoff is used, the rule passed over. */
  readonly onBrokenPolicy: (claimed: ClaimedJob, operation: BrokenPolicy, problem: unknown) => void;
}

/** The option whose function is broken. */
export type BrokenPolicy = 'backoff' | 'errors';

/**
 * One run of a job, as a pipe of steps: check the attempts left, validate the payload, run the handler, turn what came of it into
 * an outcome, the outcome into a settlement, and hand that over. It ends when the handler settles, at its timeout, or when
 * it is released, whichever comes first; what the handler does afterwards no longer counts.
 */
export class Attempt implements JobContext {
  readonly #startedAt = performance.now();
  #abort: AbortController | undefined;
  #abortReason: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #transaction: 'none' | 'open' | 'committed' = 'none';
  #cut: AbortController | undefined;
  #cutOff: (() => void) | undefined;
  #resolve: (() => void) | undefined;
  #steps: JobSteps | undefined;
  tx: pg.PoolClient | undefined;

  constructor(
    readonly claimed: ClaimedJob,
    private readonly context: AttemptContext,
  ) {}

  get maxAttempts(): number {
    return this.claimed.maxAttempts ?? this.context.handler.options.maxAttempts;
  }

  /** Made when somebody asks for it: most handlers do not, and it is the dearest part of a short attempt. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#abortReason !== undefined && !this.#abort.signal.aborted) this.#abort.abort(this.#abortReason);
    return this.#abort.signal;
  }

  /** Made when somebody asks for it: most handlers have no steps. */
  get steps(): JobSteps {
    return (this.#steps ??= new JobSteps({
      claimed: this.claimed,
      store: this.context.steps,
      encryption: this.context.handler.options.encryption,
      refusal: (call) => this.#stepRefusal(call),
    }));
  }

  /** Resolves when the attempt has ended and its slot is free. Never rejects. */
  run(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if ((this.claimed.flags & JOB_FLAGS.cancelled) !== 0) return this.#end({ kind: 'cancel' });
      if (this.claimed.expiresAt !== undefined && performance.now() >= this.claimed.expiresAt)
        return this.#end({ kind: 'fail', cause: 'expired', error: EXPIRED, counted: false });
      if (this.claimed.meta.version !== undefined && this.#isTooNew()) return void this.#leave();
      if (this.claimed.runCount >= this.maxAttempts && !this.#mayExceed())
        return this.#end({ kind: 'fail', cause: 'exhausted', error: EXHAUSTED, counted: false });
      this.#startTimer();
      return void this.#execute().then((outcome) => this.#conclude(outcome));
    });
  }

  /** Beyond its attempts a job is here because a rule for errors allows more, or because somebody has granted it this one. */
  #mayExceed(): boolean {
    const { maxAttempts, meta, runCount } = this.claimed;
    if (meta.granted === runCount + 1) return true;
    return maxAttempts === undefined && runCount < mostAttempts(this.context.handler.options.errors);
  }

  /** Tells the handler to end, by its signal. */
  abort(reason: Error): void {
    this.#abortReason ??= reason;
    this.#abort?.abort(this.#abortReason);
    this.#steps?.tell(this.#abortReason);
  }

  /** Hands the job back, unfinished and uncounted, without waiting for the handler any longer. */
  release(): void {
    this.#endWithout({ kind: 'release' });
  }

  transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#transact(work, (result) => result);
  }

  /** @param resultOf the result of the job, in what `work` has answered */
  async #transact<T>(work: (tx: pg.PoolClient) => Promise<T>, resultOf: (answer: T) => unknown): Promise<T> {
    if (this.#transaction !== 'none') throw new JobTransactionError(this.claimed.id, 'called a second time');
    if (this.#ended) throw new JobTransactionError(this.claimed.id, 'the attempt has ended');
    this.#steps?.assertAwake();
    this.#transaction = 'open';
    this.#cut = new AbortController();
    try {
      const result = await this.context.transactions.run(
        { claimed: this.claimed, keepMs: keepMsOf(this.claimed, this.context.handler.options.retention) },
        work,
        (answer) => this.#resultText(resultOf(answer)),
        this.#cut.signal,
      );
      this.#transaction = 'committed';
      return result;
    } finally {
      if (this.#transaction === 'open') this.#transaction = 'none';
      this.#cutOff?.();
    }
  }

  progress(value: unknown): void {
    if (!this.#ended) this.context.notes.progress(this.claimed, value);
  }

  log(line: string): void {
    if (!this.#ended) this.context.notes.log(this.claimed, line);
  }

  parents(): Promise<ParentResult[]> {
    return this.context.notes.parents(this.claimed);
  }

  async #execute(): Promise<Outcome> {
    try {
      const payload = await this.#payload();
      const job = new Job(this.claimed, this, payload);
      if (this.context.handler.options.transactional) return await this.#executeInTransaction(job);
      return outcomeOfReturn(await this.context.handle(job));
    } catch (error) {
      return this.#outcomeOfThrow(error);
    }
  }

  /** After a payload that is refused another attempt would get the same one. */
  #outcomeOfThrow(thrown: unknown): Outcome {
    const refusal = this.#refusalIn(thrown);
    if (refusal === undefined) return outcomeOfThrow(thrown);
    return this.context.handler.options.onInvalid === 'fail'
      ? { kind: 'reject', reason: refusal }
      : { kind: 'error', error: refusal };
  }

  #refusalIn(thrown: unknown): Error | undefined {
    try {
      return thrown instanceof InvalidJobPayloadError ? thrown : this.context.handler.refusalOf?.(thrown);
    } catch {
      // A proxy that refuses to be looked at is no refusal of ours.
      return undefined;
    }
  }

  /**
   * The payload is of a version that only later releases of the application know. That of a dead letter is one of the queue it comes from: it
   * says nothing to a handler without versions.
   */
  #isTooNew(): boolean {
    const { version } = this.context.handler.options;
    if (version === undefined && this.claimed.meta.deadLetter !== undefined) return false;
    return payloadVersionOf(this.claimed.meta.version) > (version ?? 1);
  }

  /** Leaves the job to workers that know its version. When that cannot be stored, it comes back later, here or there. */
  async #leave(): Promise<void> {
    try {
      await this.context.steps.leave(this.claimed, payloadVersionOf(this.claimed.meta.version));
      this.#end({ kind: 'leave' }, true);
    } catch {
      this.#end({ kind: 'snooze', delayMs: LEAVE_AGAIN_MS });
    }
  }

  /** A return commits the writes and the ack; anything else rolls back, and the job is settled on its own. */
  async #executeInTransaction(job: Job): Promise<Outcome> {
    try {
      const run = async (tx: pg.PoolClient) => {
        this.tx = tx;
        const outcome = outcomeOfReturn(await this.context.handle(job));
        if (outcome.kind !== 'ack') throw new RolledBack(outcome);
        return outcome;
      };
      return await this.#transact(run, (outcome) => outcome.result);
    } catch (error) {
      if (error instanceof RolledBack) return error.outcome;
      throw error;
    }
  }

  /** A promise only where something is to be done with it. */
  #payload(): unknown {
    const { claimed } = this;
    const payload = claimed.suspect ? safePayload(claimed.payload) : claimed.payload;
    const { schema, options } = this.context.handler;
    const isSimple = options.encryption === undefined && options.version === undefined && !isSealed(payload);
    if (isSimple) return schema === undefined ? payload : validateStored(schema, payload);
    return this.#opened(payload);
  }

  async #opened(stored: unknown): Promise<unknown> {
    const { schema, options } = this.context.handler;
    const clear = await unseal(stored, 'payload', options.encryption);
    const payload = await upcast(clear, payloadVersionOf(this.claimed.meta.version), options);
    return schema === undefined ? payload : validateStored(schema, payload);
  }

  #startTimer(): void {
    const timeoutMs = this.#ownTimeoutMs() ?? this.context.handler.options.timeoutMs;
    if (timeoutMs !== Infinity)
      this.#timer = setTimeout(() => this.#timedOut(timeoutMs), Math.min(timeoutMs, MAX_TIMER_MS));
  }

  /** Plain SQL can store anything as the timeout of a job. */
  #ownTimeoutMs(): number | undefined {
    const { timeoutMs } = this.claimed.meta;
    if (timeoutMs === 'Infinity') return Infinity;
    return typeof timeoutMs === 'number' && timeoutMs >= 1 ? timeoutMs : undefined;
  }

  #timedOut(timeoutMs: number): void {
    const error = new JobTimeoutError(this.claimed.queue, this.claimed.id, timeoutMs);
    this.abort(error);
    this.context.onStuck(this.claimed);
    this.#endWithout(this.#settlement({ kind: 'error', error }));
  }

  /**
   * Ends the attempt although the handler goes on. An open transaction is cut off first; one that is just
   * committing decides by itself.
   */
  #endWithout(settlement: Settlement): void {
    if (this.#transaction !== 'open') return this.#end(settlement);
    this.#cutOff = () => (this.#transaction === 'committed' ? this.#endCommitted() : this.#end(settlement));
    this.#cut?.abort(this.#abortReason ?? new JobTransactionError(this.claimed.id, 'cut off'));
  }

  #conclude(outcome: Outcome): void {
    if (this.#ended) return;
    if (this.#transaction === 'committed') return this.#endCommitted();
    if (this.#steps?.asleep === true) return void this.#park(this.#steps);
    this.#endAs(outcome);
  }

  /** A promise only where something is to be encrypted. */
  #endAs(outcome: Outcome): void {
    const settlement = this.#settlement(outcome);
    if (this.context.handler.options.encryption === undefined || mayBeShown(outcome))
      return this.#end(settlement);
    void this.#sealed(settlement).then((sealed) => this.#end(sealed));
  }

  /** What the handler has said about a payload that is encrypted is as secret. */
  async #sealed(settlement: Settlement): Promise<Settlement> {
    const { retention, encryption } = this.context.handler.options;
    await this.context.notes.sealed(this.claimed);
    if ('error' in settlement && settlement.error !== undefined)
      return { ...settlement, error: await sealError(settlement.error, encryption!, this.claimed.queue) };
    if (settlement.kind !== 'complete' || keepMsOf(this.claimed, retention) === 0) return settlement;
    return { kind: 'complete', result: new MadeResult(await this.#resultText(settlement.result)) };
  }

  #resultText(result: unknown): string | null | Promise<string | null> {
    const { encryption } = this.context.handler.options;
    return encryption === undefined
      ? resultText(result)
      : sealedResultText(result, encryption, this.claimed.queue);
  }

  /** Whatever the handler made of being told that the job sleeps, an error or a result, it sleeps: what it did not wait for is not done. */
  async #park(steps: JobSteps): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#abortReason instanceof JobCancelledError) return this.#end({ kind: 'cancel' });
    try {
      this.#end({ kind: 'sleep', delayMs: await steps.park() }, true);
    } catch (error) {
      this.#endAs({ kind: 'error', error });
    }
  }

  #stepRefusal(call: string): Error | undefined {
    if (this.#abortReason !== undefined) return this.#abortReason;
    if (this.#ended) return new JobStepError(this.claimed.id, call, 'the attempt has ended');
    if (this.#transaction === 'none') return undefined;
    return new JobStepError(
      this.claimed.id,
      call,
      'a transaction that acks the job leaves nothing to be remembered; begin its steps before it',
    );
  }

  #endCommitted(): void {
    this.#end({ kind: 'complete', result: undefined }, true);
  }

  /** Failures of an attempt that was told to end because its worker stops or lost it are not the job's: no attempt is spent. */
  #settlement(outcome: Outcome): Settlement {
    if (this.#abortReason instanceof JobCancelledError && outcome.kind !== 'ack') return { kind: 'cancel' };
    const interrupted = this.#abortReason !== undefined && !(this.#abortReason instanceof JobTimeoutError);
    if (interrupted && outcome.kind === 'error') return { kind: 'release' };
    const { runCount, maxAttempts: ownMaxAttempts } = this.claimed;
    return settlementOf(
      outcome,
      { runCount: runCount + 1, maxAttempts: this.maxAttempts, ownMaxAttempts },
      this.#policy(),
    );
  }

  #policy(): RetryPolicy {
    const { options } = this.context.handler;
    const own = (this.claimed.meta.backoff as Backoff | undefined) ?? options.backoff;
    const onBroken = (operation: BrokenPolicy) => (problem: unknown) =>
      this.context.onBrokenPolicy(this.claimed, operation, problem);
    return {
      delayMs: (attempt, error, backoff = own) =>
        delayOf(backoff, attempt, error, Math.random, onBroken('backoff')),
      ruleFor: (error) => ruleFor(options.errors, error, onBroken('errors')),
    };
  }

  #end(settlement: Settlement, stored = false): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#steps?.end();
    this.context.onEnded({
      claimed: this.claimed,
      settlement,
      keepMs: keepMsOf(this.claimed, this.context.handler.options.retention, settlement.kind === 'cancel'),
      runMs: performance.now() - this.#startedAt,
      endedAt: Date.now(),
      stored,
    });
    this.#resolve?.();
  }
}

/** How a job is settled that was claimed and has not started: it goes back, or, cancelled meanwhile, ends. */
export function unstarted(
  claimed: ClaimedJob,
  kind: 'release' | 'cancel' = 'release',
  keepMs = 0,
): EndedAttempt {
  return { claimed, settlement: { kind }, keepMs, runMs: 0, endedAt: Date.now(), stored: false };
}

/** Errors of ours that say nothing of the payload, and what must be known when it cannot be decrypted. */
function mayBeShown(outcome: Outcome): boolean {
  if (outcome.kind !== 'error') return false;
  const { error } = outcome;
  return (
    error instanceof JobTimeoutError ||
    (error instanceof PayloadEncryptionError && error.operation === 'decrypt')
  );
}

/** A job of an unknown version that could not be left to others is looked at again after this long. */
const LEAVE_AGAIN_MS = 5_000;

const EXHAUSTED = Object.freeze({
  name: 'AttemptsExhausted',
  code: 'TM_ATTEMPTS_EXHAUSTED',
  message: 'No attempts were left when the job was claimed.',
});
