import type { JobFacts } from '../../sql/explain-job.js';
import type { Reason } from './reason.js';

/** Where the database stops to count those before it. */
const COUNTED = 1_000;

/** Its last chance after crashes. A worker that is empty takes it within moments. */
export function runAlone({ isReady, alone, crashes = 0 }: JobFacts): Reason | undefined {
  if (isReady !== true || alone !== true) return undefined;
  const text = 'Its worker has died with it before, so it runs alone, as soon as a worker is empty.';
  return { code: 'runAlone', text, facts: { crashes } };
}

/** Workers make room for another job that runs alone. */
export function aloneFirst({ aloneFirst: jobId }: JobFacts): Reason | undefined {
  if (jobId === undefined) return undefined;
  const text = `A worker of its queue makes room for job ${jobId}, which runs alone after crashes.`;
  return { code: 'aloneFirst', text, facts: { jobId } };
}

/** All slots are taken; or none of those that are free has been given to it yet. */
export function turn({ isReady, workers, ahead }: JobFacts): Reason {
  if (isReady !== true || workers === undefined || workers.free > 0)
    return { code: 'starting', text: 'Nothing holds it: it starts within moments.', facts: {} };
  const position = ahead === undefined ? undefined : ahead + 1;
  const facts = { slots: workers.slots, position, capped: (ahead ?? 0) >= COUNTED };
  const place = position === undefined ? '' : `, ${facts.capped ? 'behind' : 'as'} number ${position}`;
  const text = `It waits only for a free slot of the ${workers.slots} there are${place}.`;
  return { code: 'slot', text, facts };
}
