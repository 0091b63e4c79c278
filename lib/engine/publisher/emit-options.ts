import type { Transaction } from '../connection/executor.js';

/** Options of `publisher.emit`. */
export interface EmitOptions {
  /**
   * How long, in milliseconds, jobs that begin to wait have the event as well, each once. Without it only those have it that wait when it is
   * emitted. @default 0
   */
  readonly keepMs?: number;
  /** A transaction of yours: jobs wake if and only if it commits. @default the ambient transaction, or none */
  readonly tx?: Transaction;
}
