import { answersOf, returnedOrThrown } from '../job/batch-answer.js';
import type { ClaimedJob, Job } from '../job/job.js';
import type { JobBatch } from '../job/job-batch.js';
import { Deferred } from '../lifecycle/deferred.js';
import { Attempt, type AttemptContext } from './attempt.js';
import { BatchSignal } from './batch-signal.js';

/** What a batch needs from the worker it runs in. */
export interface BatchContext extends Omit<AttemptContext, 'handle'> {
  /** The handler inside the middleware. */
  readonly handleBatch: (jobs: JobBatch) => Promise<unknown>;
}

/** A job that has come as far as its handler. */
interface Member {
  readonly job: Job;
  /** What its attempt takes for the handler's return. */
  readonly answer: Deferred<unknown>;
}

/**
 * One run of a handler of batches: an attempt for each job, that meet where a handler would be called and part when it has answered.
 *
 * All that concerns one job is its attempt's: attempts left, payload, signal, timeout, outcome, settlement. One that ends
 * on its way here is left out; one that ends while the handler runs does not wait for the others.
 */
export class Batch {
  readonly attempts: readonly Attempt[];
  /** Those that are at the handler, by the place of their attempt. */
  readonly #members = new Map<number, Member>();
  readonly #gathered = new Deferred();
  #awaited: number;
  #running: number;
  #signal: BatchSignal | undefined;

  constructor(
    claimed: readonly ClaimedJob[],
    private readonly context: BatchContext,
  ) {
    this.#awaited = this.#running = claimed.length;
    this.attempts = claimed.map(
      (each, place) => new Attempt(each, { ...context, handle: (job) => this.#join(place, job) }),
    );
  }

  /** Jobs whose attempts have not ended. */
  get running(): number {
    return this.#running;
  }

  /** Resolves when all attempts have ended. Never rejects. */
  async run(): Promise<void> {
    const ended = this.attempts.map((attempt, place) => attempt.run().then(() => this.#leave(place)));
    await this.#gathered.promise;
    void this.#handle(); // not awaited: at their timeout the attempts end without it
    await Promise.all(ended);
  }

  #join(place: number, job: Job): Promise<unknown> {
    const answer = new Deferred<unknown>();
    this.#members.set(place, { job, answer });
    this.#decided();
    return answer.promise.then(returnedOrThrown);
  }

  #leave(place: number): void {
    const member = this.#members.get(place);
    this.#members.delete(place);
    this.#running -= 1;
    if (member === undefined) this.#decided();
    else this.#signal?.ended(member.job);
  }

  /** One more has come, or will not. */
  #decided(): void {
    this.#awaited -= 1;
    if (this.#awaited === 0) this.#gathered.resolve();
  }

  async #handle(): Promise<void> {
    const members = [...this.#members].toSorted(([a], [b]) => a - b).map(([, member]) => member);
    if (members.length === 0) return;
    try {
      const returned = await this.context.handleBatch(this.#jobsOf(members));
      const answers = answersOf(returned, members.length, this.context.handler.queue);
      for (const [index, { answer }] of members.entries()) answer.resolve(answers[index]);
    } catch (error) {
      for (const { answer } of members) answer.reject(error);
    }
  }

  /** The signal is made when somebody asks for it, and with it those of the jobs. */
  #jobsOf(members: readonly Member[]): JobBatch {
    const jobs = members.map(({ job }) => job);
    const all = [...jobs]; // the handler may do with its array what it likes
    const get = () => (this.#signal ??= this.#signalOf(all)).signal;
    return Object.defineProperty(jobs, 'signal', { get }) as JobBatch;
  }

  /** Asked for late, it does not wait for those that have ended. */
  #signalOf(jobs: readonly Job[]): BatchSignal {
    const here = new Set([...this.#members.values()].map(({ job }) => job));
    return new BatchSignal(jobs.filter((job) => here.has(job) || job.signal.aborted));
  }
}
