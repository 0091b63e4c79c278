import type { JobFacts } from '../../sql/explain-job.js';
import { dateOf, untilText } from './words.js';
import type { Reason } from './reason.js';

/** Somebody has paused its queue. */
export function paused({ queue, paused: pause }: JobFacts): Reason | undefined {
  if (pause === undefined) return undefined;
  const facts = {
    by: pause.by ?? undefined,
    since: new Date(pause.since),
    until: dateOf(pause.until),
    reason: pause.reason ?? undefined,
  };
  const by = facts.by === undefined ? '' : ` by ${facts.by}`;
  const why = facts.reason === undefined ? '' : `: ${facts.reason}`;
  const text = `The queue "${queue}" is paused${by} since ${facts.since.toISOString()}${untilText(facts.until)}${why}.`;
  return { code: 'paused', text, facts };
}

/** A handler of its queue was told to slow down. */
export function held({ queue, heldUntil }: JobFacts): Reason | undefined {
  const until = dateOf(heldUntil);
  if (until === undefined) return undefined;
  const text = `The queue "${queue}" is held${untilText(until)}, because a handler was told to slow down.`;
  return { code: 'held', text, facts: { until } };
}

/** Nobody works on its queue. */
export function noWorker({ queue, workers }: JobFacts): Reason | undefined {
  if (workers === undefined || workers.running > 0) return undefined;
  const { quiet, draining } = workers;
  if (quiet + draining === 0)
    return { code: 'noWorker', text: `No live worker works on the queue "${queue}".`, facts: {} };
  const text = `All workers of the queue "${queue}" take nothing new: ${quiet} quiet, ${draining} draining.`;
  return { code: 'quietWorkers', text, facts: { quiet, draining } };
}
