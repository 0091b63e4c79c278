import type { StandardSchema } from '../codec/standard-schema.js';
import type { PayloadOptions, QueueLimits, QueueOptions } from './queue-definition.js';
import type { Job } from './job.js';
import type { JobBatch } from './job-batch.js';
import type { AnyQueue } from './queue.js';

/** What is known of a handler, whether it gets jobs or batches, with its options resolved. */
export interface Handler {
  readonly queue: string;
  /** Where it comes from, for messages: `MailHandlers.send`. */
  readonly label: string;
  readonly options: Required<QueueOptions> &
    QueueLimits &
    PayloadOptions & { readonly transactional: boolean };
  /** The present name of its queue, where it works on a former one. */
  readonly aliasOf: string | undefined;
  /** Name of the queue that gets copies of the jobs that have failed. */
  readonly deadLetter: string | undefined;
  readonly schema: StandardSchema | undefined;
  readonly refusalOf?: RefusalOf;
}

/** A handler that gets jobs one by one. */
export interface JobHandler extends Handler {
  readonly handle: (payload: unknown, job: Job) => unknown;
}

/** A handler that gets many jobs at once. */
export interface BatchHandler extends Handler {
  readonly batch: Required<BatchOptions>;
  readonly handleBatch: (payloads: unknown[], jobs: JobBatch) => unknown;
}

/** A handler as the engine runs it. */
export type AnyHandler = JobHandler | BatchHandler;

/** Options a handler may set beside those of its queue. */
export interface HandlerOptions extends QueueOptions, QueueLimits, PayloadOptions {
  /**
   * The handler runs in a transaction, `job.tx`, that commits its writes and the ack together. It holds a
   * connection and a snapshot for as long as it runs: for handlers of seconds, not of minutes. @default false
   */
  readonly transactional?: boolean;
}

/** A handler to be registered. */
export interface HandlerRegistration {
  readonly queue: AnyQueue;
  readonly handle: (payload: never, job: Job<never>) => unknown;
  /** Where it comes from, for messages: `MailHandlers.send`. */
  readonly label: string;
  readonly options?: HandlerOptions;
  /** For layers above that check payloads too: what is stored of an error that says that they have refused one; `undefined` for any other. */
  readonly refusalOf?: RefusalOf;
}

/** See {@link HandlerRegistration.refusalOf}. */
export type RefusalOf = (error: unknown) => Error | undefined;

/** When a batch runs. */
export interface BatchOptions {
  /** The most jobs in a batch, from 1 to 10_000. One that has as many runs at once. */
  readonly size: number;
  /** How long the first job of a batch waits for others, in milliseconds, up to an hour. 0: a batch is what is there. @default 0 */
  readonly waitMs?: number;
}

/** Options of a handler of batches. `concurrency` counts batches, `timeoutMs` is that of a batch. */
export type BatchHandlerOptions = Omit<HandlerOptions, 'transactional'>;

/** A handler of batches to be registered. */
export interface BatchHandlerRegistration {
  readonly queue: AnyQueue;
  readonly batch: BatchOptions;
  /**
   * Returns nothing, and all jobs are acked, or an array: for each job, in their order, its result, an outcome such as `reject()`, an
   * `Error` if it has failed, or a promise of one of these. What it throws counts for all of them, and so does a single outcome.
   */
  readonly handleBatch: (payloads: never[], jobs: JobBatch<never>) => unknown;
  /** Where it comes from, for messages: `MailHandlers.send`. */
  readonly label: string;
  readonly options?: BatchHandlerOptions;
}

/** A handler to be registered, of jobs or of batches. */
export type AnyRegistration = HandlerRegistration | BatchHandlerRegistration;
