import type { JobFacts } from '../../sql/explain-job.js';
import { dateOf, jobsText, untilText } from './words.js';
import type { Reason } from './reason.js';

/** Its handler sleeps, or waits for an event; of several waits, the one that is over first. */
export function sleeping({ waits }: JobFacts): Reason | undefined {
  const [wait] = waits ?? [];
  if (wait === undefined) return undefined;
  const until = dateOf(wait.until);
  if (wait.event !== undefined) {
    const text = `Its handler waits for the event "${wait.event}"${until === undefined ? '' : `, at most${untilText(until)}`}.`;
    return { code: 'waitingForEvent', text, facts: { event: wait.event, until } };
  }
  if (until === undefined) return undefined;
  return {
    code: 'sleeping',
    text: `Its handler sleeps${untilText(until)}.`,
    facts: { name: wait.name, until },
  };
}

/** Jobs it depends on have not ended, as far as it has been told. */
export function dependency({ parents = [], parentsLeft }: JobFacts): Reason | undefined {
  if (parentsLeft === undefined) return undefined;
  const [first] = parents;
  const of = jobsText(
    parents.map((parent) => parent.id),
    parentsLeft,
  );
  const end = first?.state === 'failed' ? `; job ${first.id} has failed` : '';
  const text = `It depends on ${of}, which ${parentsLeft === 1 ? 'has' : 'have'} not completed${end}.`;
  return { code: 'dependency', text, facts: { left: parentsLeft, parents } };
}

/** Its schedule runs one job at a time. */
export function scheduleOverlap({ schedule }: JobFacts): Reason | undefined {
  if (schedule === undefined) return undefined;
  const which = schedule.after === undefined ? 'an earlier job' : `job ${schedule.after}`;
  const text = `It waits for ${which} of its schedule "${schedule.name}" to end.`;
  return { code: 'scheduleOverlap', text, facts: { schedule: schedule.name, after: schedule.after } };
}

/** Its time, or that of its retry, has not come. A job that sleeps waits for that. */
export function notDue({ isReady, runAt, waits, attempts, error }: JobFacts): Reason | undefined {
  const until = dateOf(runAt);
  if (isReady !== false || until === undefined || waits !== undefined) return undefined;
  if (attempts === 0 || error === null)
    return { code: 'scheduled', text: `It is not due${untilText(until)}.`, facts: { until } };
  const attempt = attempts + 1;
  const text = `Its retry, attempt ${attempt}, is not due${untilText(until)}: ${error.message}.`;
  return { code: 'retry', text, facts: { until, attempt, error } };
}

/** Workers that have met it do not know the version of its payload. */
export function newerVersion({ leftVersion }: JobFacts): Reason | undefined {
  if (leftVersion === undefined) return undefined;
  const text = `Its payload is of version ${leftVersion}, which no worker knew that has met it: it waits for a worker of a later release.`;
  return { code: 'newerVersion', text, facts: { version: leftVersion } };
}

/** Somebody has parked it by hand. */
export function parked({
  isReady,
  runAt,
  waits,
  parentsLeft,
  schedule,
  leftVersion,
}: JobFacts): Reason | undefined {
  const isKnown = [waits, parentsLeft, schedule, leftVersion].some((fact) => fact !== undefined);
  if (isReady !== false || dateOf(runAt) !== undefined || isKnown) return undefined;
  const text =
    'It is parked: its run_at is infinity, and it waits for nothing that is known. Cancel it, or set its run_at.';
  return { code: 'parked', text, facts: {} };
}
