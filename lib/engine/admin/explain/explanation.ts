import type { ExplainRow, JobFacts } from '../../sql/explain-job.js';
import { ended, expired, running } from './ended.js';
import { globalConcurrency, groupLimit, groupOrder, rateLimit } from './limits.js';
import { held, noWorker, paused } from './queue-closed.js';
import type { Explanation, Reason, ReasonFinder } from './reason.js';
import { aloneFirst, runAlone, turn } from './turn.js';
import { dependency, newerVersion, notDue, parked, scheduleOverlap, sleeping } from './waiting.js';

/** What says all there is to say: where one of these applies, nothing else does. */
const FINAL: readonly ReasonFinder[] = [ended, running, expired];

/**
 * What may hold a job back, in the order in which it is told: first what the job itself waits for, then its queue, its workers, the limits, and
 * its place among the others. A new kind of reason is a function here, a code in {@link ReasonFacts}, and what it looks at in `job_facts()`.
 */
const HOLDING: readonly ReasonFinder[] = [
  sleeping,
  dependency,
  scheduleOverlap,
  notDue,
  newerVersion,
  parked,
  paused,
  held,
  noWorker,
  globalConcurrency,
  rateLimit,
  groupOrder,
  groupLimit,
  runAlone,
  aloneFirst,
];

/** The answer of the database in words; `undefined` when there is no such job. */
export function explanationOf(row: ExplainRow | undefined): Explanation | undefined {
  if (row === undefined || row.facts === null) return undefined;
  const job = JSON.parse(row.facts) as JobFacts;
  const reasons = reasonsOf(job);
  const [first] = reasons;
  return {
    id: job.id,
    queue: job.queue,
    state: job.state,
    reason: first.code,
    text: reasons.map((reason) => reason.text).join(' '),
    facts: first.facts,
    reasons,
  };
}

function reasonsOf(job: JobFacts): readonly [Reason, ...Reason[]] {
  const final = found(FINAL, job)[0];
  if (final !== undefined) return [final];
  const [first, ...others] = found(HOLDING, job);
  return first === undefined ? [turn(job)] : [first, ...others];
}

function found(finders: readonly ReasonFinder[], job: JobFacts): Reason[] {
  return finders.map((find) => find(job)).filter((reason) => reason !== undefined);
}
