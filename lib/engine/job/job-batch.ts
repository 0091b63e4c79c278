import type { Job } from './job.js';

/** The jobs that a handler of batches gets, in the order of their payloads: an array of its own, that has a signal. */
export interface JobBatch<Payload = unknown> extends Array<Job<Payload>> {
  /**
   * Aborted when nothing of the batch is left to work for: every job has ended, or its own signal has been aborted. So by a timeout, a
   * shutdown and a lost lease of all of them, and not when one of many is cancelled. Its `reason` is that of the last.
   */
  readonly signal: AbortSignal;
}
