import type { JobFacts } from '../../sql/explain-job.js';
import { dateOf, jobsText, untilText } from './words.js';
import type { Reason } from './reason.js';

/** As many of its queue run as may. */
export function globalConcurrency({ queue, global }: JobFacts): Reason | undefined {
  if (global === undefined) return undefined;
  const { limit, running, holders } = global;
  const text = `The limit of ${limit} at once for the queue "${queue}" is held by ${jobsText(holders, running)}.`;
  return { code: 'globalConcurrency', text, facts: { limit, holders } };
}

/** As many have started within the period as may. */
export function rateLimit({ queue, rate }: JobFacts): Reason | undefined {
  if (rate === undefined) return undefined;
  const facts = {
    limit: rate.limit,
    periodMs: rate.periodMs,
    until: new Date(rate.until),
    key: rate.key ?? undefined,
  };
  const of = facts.key === undefined ? `the queue "${queue}"` : `the key "${facts.key}"`;
  const text = `The rate of ${rate.limit} in ${rate.periodMs} ms of ${of} is full${untilText(facts.until)}.`;
  return { code: 'rateLimit', text, facts };
}

/** Others of its group come first. */
export function groupOrder({ group }: JobFacts): Reason | undefined {
  const ahead = group?.ahead ?? [];
  if (group === undefined || ahead.length < group.limit) return undefined;
  const members = ahead.map(({ id, state, runAt }) => ({ id, state, until: dateOf(runAt) }));
  const first = members.map(({ id, state, until }) => `job ${id}, which is ${state}${untilText(until)}`);
  const text = `It comes after others of its group "${group.key}": ${first.slice(0, 3).join('; ')}.`;
  return { code: 'groupOrder', text, facts: { group: group.key, limit: group.limit, ahead: members } };
}

/** As many of its group, or of its key, run as may. Where order matters, that says the same. */
export function groupLimit(job: JobFacts): Reason | undefined {
  const { group } = job;
  if (group === undefined || group.holders.length < group.limit || groupOrder(job) !== undefined)
    return undefined;
  const text = `The limit of ${group.limit} at once for "${group.key}" is held by ${jobsText(group.holders)}.`;
  return {
    code: 'groupLimit',
    text,
    facts: { group: group.key, limit: group.limit, holders: group.holders },
  };
}
