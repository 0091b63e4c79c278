import type { StandardSchema } from '../codec/standard-schema.js';
import type { QueueLimits, QueueOptions } from './queue-definition.js';
import type { Job } from './job.js';
import type { AnyQueue } from './queue.js';

/** A handler as the engine runs it, with its options resolved. */
export interface Handler {
  readonly queue: string;
  /** Where it comes from, for messages: `MailHandlers.send`. */
  readonly label: string;
  readonly options: Required<QueueOptions> & QueueLimits & { readonly transactional: boolean };
  /** Name of the queue that gets copies of the jobs that have failed. */
  readonly deadLetter: string | undefined;
  readonly schema: StandardSchema | undefined;
  readonly handle: (payload: unknown, job: Job) => unknown;
}

/** Options a handler may set beside those of its queue. */
export interface HandlerOptions extends QueueOptions, QueueLimits {
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
}
