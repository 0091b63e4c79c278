import type { Job } from './job.js';

/** The jobs that a handler of batches gets, in the order of their payloads: an array of its own, that has a signal. */
export interface JobBatch<Payload = unknown> extends Array<Job<Payload>> {
  /**
   * Aborted when the last of its jobs that are still at work is told to end: by the timeout, a shutdown and a lost lease, since they
   * concern all of them, and not when one of many is cancelled, which aborts its own signal. Its `reason` is that of the last.
   */
  readonly signal: AbortSignal;
}
