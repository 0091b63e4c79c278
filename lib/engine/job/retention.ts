import type { ClaimedJob } from './job.js';
import { AWAITED_RESULT_MS, JOB_FLAGS } from './job-flags.js';
import type { Retention } from './queue-definition.js';

/** How long jobs that have ended are kept where a queue says nothing: only those that failed, for ever. */
export const RETENTION_DEFAULTS = Object.freeze({
  completedMs: 0,
  failedMs: Infinity,
  cancelledMs: 0,
} satisfies Required<Retention>);

/** How long a job is to be kept whose handler has ended, in milliseconds. Not asked of jobs that failed: they stay where they are. */
export function keepMsOf(claimed: ClaimedJob, retention: Retention, cancelled = false): number {
  const keepMs = cancelled
    ? (retention.cancelledMs ?? RETENTION_DEFAULTS.cancelledMs)
    : (retention.completedMs ?? RETENTION_DEFAULTS.completedMs);
  const wanted = claimed.flags & (JOB_FLAGS.keepResult | JOB_FLAGS.hasChildren);
  return wanted === 0 ? keepMs : Math.max(keepMs, AWAITED_RESULT_MS);
}
