import { decodeJson } from '../codec/json-codec.js';
import { isSealed, sealText, unseal } from '../codec/sealed.js';
import { stepText } from '../codec/step-text.js';
import { JobStepError } from '../errors.js';
import type { PayloadEncryption } from '../job/encryption.js';
import type { ClaimedJob } from '../job/job.js';
import { JOB_FLAGS } from '../job/job-flags.js';
import { SleepOutcome } from '../job/outcome.js';
import type { DurableSteps, StepOptions, StepWork, WaitOptions } from '../job/step.js';
import { Deferred } from '../lifecycle/deferred.js';
import { checkSleep, checkStep, checkWait } from '../option-checks.js';
import type { BeginWaitArgs, StepRow } from '../sql/durable-steps.js';
import type { StepStore } from './step-store.js';

/** What the steps of an attempt are made of. */
export interface JobStepsOptions {
  readonly claimed: ClaimedJob;
  readonly store: StepStore;
  /** Results of steps are stored so; those of waits are what was emitted, in clear. */
  readonly encryption: PayloadEncryption | undefined;
  /** Why this call must not begin now; `undefined`: it may. */
  readonly refusal: (call: string) => Error | undefined;
}

type Wait = Omit<BeginWaitArgs, 'id' | 'seq'>;

/** JSON text of a result; `null`: `undefined`. */
type Remembered = Map<string, string | null>;

/**
 * The steps, sleeps and waits of a job in one attempt. Made when the handler asks for the first.
 *
 * awake -> asleep (a wait is not over, and no step is under way) -> parked (by the attempt, when its handler has ended)
 */
export class JobSteps implements DurableSteps {
  #loading: Promise<Remembered> | undefined;
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #calls = new Map<string, number>();
  /** Calls that have not come back yet, and do not wait for time or events. */
  #underWay = 0;
  #waiting: Deferred<never>[] = [];
  #sleep: SleepOutcome | undefined;
  /** The attempt is to end. */
  readonly #told = new AbortController();
  /** It has ended. */
  readonly #over = new AbortController();

  constructor(private readonly options: JobStepsOptions) {}

  /** Whether the handler was told that the job sleeps: its attempt ends so, whatever the handler makes of that. */
  get asleep(): boolean {
    return this.#sleep !== undefined;
  }

  /** @throws SleepOutcome when the handler was told so, and goes on all the same */
  assertAwake(): void {
    if (this.#sleep !== undefined) throw this.#sleep;
  }

  async step(name: string, work: StepWork, options: StepOptions): Promise<unknown> {
    checkStep(name, work, options);
    const call = `job.step(${JSON.stringify(name)})`;
    this.#assertMayBegin(call);
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const step = this.#during(() => this.#once(call, name, work, options));
    this.#running.set(name, step);
    try {
      return await step;
    } finally {
      this.#running.delete(name);
    }
  }

  sleep(name: string | undefined, ms: number): Promise<void> {
    checkSleep(name, ms);
    this.#assertMayBegin('job.sleep()');
    const wait = { ...this.#keyOf('sleep', '', name), event: null, waitMs: ms };
    return quiet(this.#wait(wait)) as Promise<void>;
  }

  waitForEvent(event: string, options: WaitOptions): Promise<unknown> {
    checkWait(event, options);
    this.#assertMayBegin(`job.waitForEvent(${JSON.stringify(event)})`);
    const { timeoutMs = Infinity, name } = options;
    const waitMs = timeoutMs === Infinity ? null : timeoutMs;
    return quiet(this.#wait({ ...this.#keyOf('event', event, name), event, waitMs }));
  }

  /** Parks the job. Resolves with when it wakes, in milliseconds; `undefined`: when an event comes. @throws LeaseLostError */
  park(): Promise<number | undefined> {
    return this.options.store.park(this.options.claimed, this.#told.signal);
  }

  /** The attempt is to end: no statement is tried again, and no wait is waited for. */
  tell(reason: Error): void {
    this.#told.abort(reason);
    for (const deferred of this.#waiting.splice(0)) deferred.reject(reason);
  }

  /** It has ended: transactions that are open are cut off. */
  end(): void {
    const reason = new JobStepError(this.options.claimed.id, 'A step', 'the attempt has ended');
    this.#over.abort(reason);
    this.tell(reason);
  }

  #assertMayBegin(call: string): void {
    this.assertAwake();
    const { claimed, refusal, store } = this.options;
    if (store.inside.getStore() === this)
      throw new JobStepError(
        claimed.id,
        call,
        'it is called inside a step, which is done as a whole or not at all',
      );
    const refused = refusal(call);
    if (refused !== undefined) throw refused;
  }

  async #once(call: string, name: string, work: StepWork, { transactional }: StepOptions): Promise<unknown> {
    const key = textOf({ kind: 'step', name, nth: 0 });
    const remembered = await this.#remembered();
    if (!remembered.has(key)) {
      this.#assertMayBegin(call); // looking took its time
      remembered.set(key, await (transactional === true ? this.#transact(name, work) : this.#do(name, work)));
    }
    return valueOf(remembered.get(key));
  }

  async #do(name: string, work: StepWork): Promise<string | null> {
    const { claimed, store } = this.options;
    const text = this.#text(name, await store.inside.run(this, async () => work(undefined as never)));
    await store.store(claimed, name, await this.#sealed(text), this.#told.signal);
    return text;
  }

  async #transact(name: string, work: StepWork): Promise<string | null> {
    const { claimed, store } = this.options;
    let text: string | null = null;
    const inside = async (tx: unknown) => {
      text = this.#text(name, await store.inside.run(this, async () => work(tx as never)));
      return this.#sealed(text);
    };
    await store.transact(claimed, name, inside, this.#over.signal);
    return text;
  }

  async #sealed(text: string | null): Promise<string | null> {
    const { encryption, claimed } = this.options;
    if (encryption === undefined || text === null) return text;
    return sealText(text, encryption, { queue: claimed.queue, kind: 'step' });
  }

  async #unsealed({ kind, result }: StepRow): Promise<string | null> {
    if (kind !== 'step' || result === null) return result;
    const stored: unknown = JSON.parse(result);
    if (!isSealed(stored)) return result;
    return JSON.stringify(await unseal(stored, 'step', this.options.encryption));
  }

  #text(name: string, result: unknown): string | null {
    const { claimed, store } = this.options;
    return stepText({ jobId: claimed.id, name, maxBytes: store.maxResultBytes }, result);
  }

  async #wait(wait: Wait): Promise<unknown> {
    const ended = await this.#during(() => this.#look(wait));
    return ended === undefined ? this.#untilAwake() : valueOf(ended.result);
  }

  /** What has become of a wait; `undefined`: it is not over. */
  async #look(wait: Wait): Promise<{ readonly result: string | null } | undefined> {
    const { claimed, store } = this.options;
    const remembered = await this.#remembered();
    const known = remembered.get(textOf(wait));
    if (known !== undefined) return { result: known };
    const row = await store.wait(claimed, wait, this.#told.signal);
    if (!row.finished) return undefined;
    remembered.set(textOf(wait), row.result);
    return row;
  }

  /** Never resolves: the handler is told that the job sleeps, when none of its steps is under way any more. */
  #untilAwake(): Promise<never> {
    const deferred = new Deferred<never>();
    this.#waiting.push(deferred);
    if (this.#told.signal.aborted) this.tell(this.#told.signal.reason as Error);
    this.#sleepIfIdle();
    return deferred.promise;
  }

  async #during<T>(call: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await call();
    } finally {
      this.#underWay -= 1;
      this.#sleepIfIdle();
    }
  }

  /** Not at once: what has just come back may be followed by another step. */
  #sleepIfIdle(): void {
    if (this.#underWay === 0 && this.#waiting.length > 0) setImmediate(() => this.#fallAsleep());
  }

  #fallAsleep(): void {
    if (this.#underWay > 0 || this.#waiting.length === 0) return;
    this.#sleep ??= new SleepOutcome();
    for (const deferred of this.#waiting.splice(0)) deferred.reject(this.#sleep);
  }

  /** Waits with a name of their own are told apart by it, others by the order of their calls. */
  #keyOf<Kind extends Wait['kind']>(
    kind: Kind,
    shared: string,
    own: string | undefined,
  ): { kind: Kind; name: string; nth: number } {
    if (own !== undefined) return { kind, name: own, nth: 0 };
    const nth = (this.#calls.get(kind + shared) ?? 0) + 1;
    this.#calls.set(kind + shared, nth);
    return { kind, name: shared, nth };
  }

  /** Jobs without steps in an earlier attempt have nothing to be asked for. */
  #remembered(): Promise<Remembered> {
    return (this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    }));
  }

  async #load(): Promise<Remembered> {
    const { claimed, store } = this.options;
    const rows =
      (claimed.flags & JOB_FLAGS.hasSteps) === 0 ? [] : await store.load(claimed, this.#told.signal);
    return new Map(
      await Promise.all(rows.map(async (row) => [textOf(row), await this.#unsealed(row)] as const)),
    );
  }
}

function textOf({ kind, name, nth }: Pick<StepRow, 'kind' | 'name' | 'nth'>): string {
  return `${kind}:${nth}:${name}`;
}

/** A new value each time: nobody changes what others get. */
function valueOf(text: string | null | undefined): unknown {
  return text === null || text === undefined ? undefined : decodeJson(text);
}

/** A promise that nobody awaits may reject: a handler that returns without awaiting its sleep has not slept. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
