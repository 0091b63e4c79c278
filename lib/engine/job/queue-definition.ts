import type { DtoClass } from '../codec/dto-schema.js';
import type { StandardSchema } from '../codec/standard-schema.js';
import type { Backoff } from '../retry/backoff.js';
import type { ErrorRule } from '../retry/error-rule.js';
import type { PayloadEncryption } from './encryption.js';
import type { PayloadVersions } from './payload-version.js';
import type { AnyQueue } from './queue.js';

/** Options of a queue: given to `defineQueue`, to a handler, or as the module's `defaults`; the handler's win. */
export interface QueueOptions {
  /** Jobs of this queue running at once in one process. @default 10 */
  readonly concurrency?: number;
  /** How often a job is attempted before it fails for good; 1 means never retried. @default 10 */
  readonly maxAttempts?: number;
  /** The wait before another attempt. @default exponential from 1 s to 1 h, with jitter */
  readonly backoff?: Backoff;
  /**
   * How long one attempt may take, in milliseconds. Then its `AbortSignal` fires, the attempt counts as failed
   * and its slot is free. `Infinity`: as long as it likes. @default 900_000
   */
  readonly timeoutMs?: number;
  /** How long jobs that have ended are kept. @default failed ones for ever, others not at all */
  readonly retention?: Retention;
  /** What becomes of jobs by what their attempt has thrown; the first rule that matches counts, and without one the options above. @default [] */
  readonly errors?: readonly ErrorRule[];
  /**
   * The queue that gets a copy of each job that fails for good, whoever finds that it has: the copy is enqueued in the transaction of the
   * failure, and its handler finds in `job.deadLetter` where it comes from. The job itself stays, as failed jobs do. `false`: none,
   * also where the module's `defaults` name one. @default false
   */
  readonly deadLetter?: AnyQueue | false;
  /**
   * What becomes of a job whose payload the schema, an upcaster or a pipe refuses: it fails at once, or is attempted again as after
   * any error. @default 'fail'
   */
  readonly onInvalid?: 'fail' | 'retry';
}

/** What holds jobs of a queue back, in all processes at once. What a worker was started with last counts for all. */
export interface QueueLimits {
  /** Jobs of this queue running at once in all processes. @default no limit */
  readonly globalConcurrency?: number;
  /** Jobs with the same key running at once in all processes. Excludes the `group` of a job. @default no limit */
  readonly keyConcurrency?: KeyConcurrency;
  /** How many jobs may start in any period, in all processes; a start is the claim, by the database's clock. @default no limit */
  readonly rateLimit?: RateLimit;
  /** Jobs of one `group` running at once. More than 1: a job starts when fewer than that many are ahead of it. @default 1 */
  readonly groupConcurrency?: number;
  /** What a job that has failed means to its `group`: the next one goes on, or nothing does until it is requeued or deleted. @default 'skip' */
  readonly onFailure?: 'skip' | 'block';
  /**
   * Jobs of this queue that have not ended: ready, running, scheduled, blocked. An enqueue that would make them more is refused with
   * {@link QueueFullError}, whoever enqueues, and stores nothing. Producers of such a queue take turns, from their insert to their COMMIT.
   * @default no limit
   */
  readonly maxPending?: number;
  /** Jobs that wait for so long, in milliseconds, move up by one priority, again and again. @default never */
  readonly ageing?: { readonly everyMs: number };
}

/** How long jobs that have ended are kept, in milliseconds: 0 not at all, `Infinity` for ever. */
export interface Retention {
  /** @default 0 */
  readonly completedMs?: number;
  /** @default Infinity */
  readonly failedMs?: number;
  /** @default 0 */
  readonly cancelledMs?: number;
}

/** A limit of each key. The key is made when a job is enqueued, by a publisher that knows the definition. */
export interface KeyConcurrency {
  /** Of at most 256 bytes; `undefined`: this job is not limited. */
  readonly key: (payload: never) => string | undefined;
  /** A number, or what to allow this key; asked at enqueue, and kept with the job. */
  readonly limit: number | ((key: string) => number);
}

/** A sliding window: never more than `limit` starts in any `periodMs`. */
export interface RateLimit {
  readonly limit: number;
  /** Milliseconds. */
  readonly periodMs: number;
  /** The limit is one of each key; with `keyConcurrency` it must be the same function. @default one for the queue */
  readonly key?: (payload: never) => string | undefined;
}

/** Makes one payload of two: of the job that waits, in the newest version, and of the one that is enqueued. It may be asynchronous. */
export type PayloadReducer = (waiting: never, enqueued: never) => unknown;

/** What the payloads of a queue are, and were. */
export interface PayloadOptions extends PayloadVersions {
  /** Keeps payloads, and what handlers say of them, out of the database in clear. @default none */
  readonly encryption?: PayloadEncryption;
  /** By name: what makes one payload of that of the job that waits and a new one, for `unique: { onConflict: { reducer: name } }`. @default {} */
  readonly reducers?: Readonly<Record<string, PayloadReducer>>;
  /** Former names of the queue: jobs that are or will be stored under them are run by the same handler, each name with a pool of its own. @default [] */
  readonly aliases?: readonly string[];
}

/** What a publisher has to know of a queue. */
export type QueueRules = QueueLimits & PayloadOptions;

/** Options of `defineQueue`: those of every queue, and the payload's schema. */
export interface QueueDefinitionOptions<Payload = unknown> extends QueueOptions, QueueLimits, PayloadOptions {
  /** Any Standard Schema (zod, valibot, arktype ...). Checked at enqueue and before each attempt; its output is the payload. */
  readonly schema?: StandardSchema<unknown, Payload>;
}

/** Options of `defineQueue` that are turned into those of the definition. */
export interface DtoOptions<Payload extends object = object>
  extends QueueOptions, QueueLimits, PayloadOptions {
  /**
   * A class decorated for `class-validator`, instead of a schema: payloads are checked by it, may be instances of it, and the
   * handler gets one. Needs `class-validator` and `class-transformer`.
   */
  readonly dto: DtoClass<Payload>;
}

/** A queue with its types, made by {@link defineQueue}. A plain string works wherever one is accepted. */
export interface QueueDefinition<Payload = unknown, Result = unknown, Input = Payload> {
  readonly name: string;
  readonly options: QueueDefinitionOptions<Payload>;
  /** Types only; never present at run time. */
  readonly '~types'?: { readonly payload: Payload; readonly result: Result; readonly input: Input };
}
