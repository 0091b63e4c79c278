import { statement } from './statement.js';
import type { Tables } from './tables.js';

/** Which jobs are meant. `null` in a field: it does not matter. */
export interface MatchArgs {
  readonly queues: readonly string[] | null;
  readonly ids: readonly string[] | null;
  readonly errorName: string | null;
  readonly errorCode: string | null;
  readonly failedAfter: Date | null;
  readonly failedBefore: Date | null;
  /** Created longer ago than this many milliseconds. */
  readonly olderThanMs: number | null;
  /** Jobs that have all of these. */
  readonly tags: readonly string[] | null;
  /** Dead letters of this queue. */
  readonly source: string | null;
}

/** A part of those that match, in the order of their ids. */
export interface FindArgs extends MatchArgs {
  /** Beyond this id; '0' for the first part. */
  readonly after: string;
  /** Up to this id. */
  readonly until: string;
  /** `null`: all of them. */
  readonly limit: number | null;
}

export interface FoundRow {
  readonly id: string;
  readonly seq: string;
}

/** How many match, and the first of their ids. */
export interface CountRow {
  readonly count: string;
  readonly ids: string[];
}

/** How many ids a count tells. */
export const COUNTED_IDS = 100;

/** What an error is compared with: expressions of SQL. */
interface ErrorColumns {
  readonly error: string;
  readonly failedAt: string;
}

const OWN: ErrorColumns = { error: 'job.last_error', failedAt: 'job.failed_at' };
const OF_DEAD_LETTER: ErrorColumns = {
  error: `job.meta -> 'deadLetter' -> 'error'`,
  failedAt: `(job.meta -> 'deadLetter' ->> 'failedAt')::timestamptz`,
};

/**
 * The conditions of {@link MatchArgs}, `$1` to `$9`. Sent with its values and planned for them, so that what does not matter is not looked
 * at, and the partial index of the state is used.
 */
export function matching({ error, failedAt }: ErrorColumns = OWN): string {
  return `($1::text[] is null or job.queue_name = any ($1::text[]))
       and ($2::bigint[] is null or job.id = any ($2::bigint[]))
       and ($3::text is null or ${error} ->> 'name' = $3::text)
       and ($4::text is null or ${error} ->> 'code' = $4::text)
       and ($5::timestamptz is null or ${failedAt} > $5::timestamptz)
       and ($6::timestamptz is null or ${failedAt} < $6::timestamptz)
       and ($7::double precision is null or job.created_at < now() - $7::double precision * interval '1 millisecond')
       and ($8::jsonb is null or job.meta -> 'tags' @> $8::jsonb)
       and ($9::text is null or job.meta -> 'deadLetter' ->> 'queue' = $9::text)`;
}

export function matchValues(args: MatchArgs): unknown[] {
  const { queues, ids, errorName, errorCode, failedAfter, failedBefore, olderThanMs, tags, source } = args;
  const labels = tags === null ? null : JSON.stringify(tags);
  return [queues, ids, errorName, errorCode, failedAfter, failedBefore, olderThanMs, labels, source];
}

function findValues(args: FindArgs): unknown[] {
  return [...matchValues(args), args.after, args.until, args.limit];
}

type Where = (tables: Tables) => string;

const failed: Where = () => `job.failed_at is not null and ${matching()}`;
const scheduled: Where = () => `job.run_at < 'infinity' and ${matching()}`;
const waiting: Where = () => `(job.failed_at is not null or job.run_at < 'infinity') and ${matching()}`;
const deadLetters: Where = ({
  leases,
}) => `job.meta ? 'deadLetter' and octet_length(job.meta -> 'deadLetter' ->> 'queue') between 1 and 128
       and not (job.run_at is null
                and exists (select from ${leases} as lease
                             where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
       and ${matching(OF_DEAD_LETTER)}`;

const part = (tables: Tables, where: Where) => `select job.id::text as id, job.seq::text as seq
      from ${tables.jobs} as job
     where ${where(tables)}
       and job.id > $10::bigint and job.id <= $11::bigint
     order by job.id
     limit $12::bigint`;

/** Finds a part of the jobs that match; whoever changes them does so by their tokens, so that nothing happens twice. */
function find(name: string, where: Where) {
  return statement<FindArgs, FoundRow>({
    name,
    text: (tables) => part(tables, where),
    values: findValues,
  });
}

function count(name: string, where: Where) {
  return statement<FindArgs, CountRow>({
    name,
    text: (tables) => `with found as materialized (
      ${part(tables, where)}
    )
    select (select count(*) from found) as count,
           array(select found.id from found order by found.id::bigint limit ${COUNTED_IDS}) as ids`,
    values: findValues,
  });
}

export const findFailedJobs = find('find_failed_jobs', failed);
export const findScheduledJobs = find('find_scheduled_jobs', scheduled);
/** Failed or scheduled ones. */
export const findWaitingJobs = find('find_waiting_jobs', waiting);
/** Those that nobody runs. Their errors are those of the jobs they are copies of. */
export const findDeadLetters = find('find_dead_letters', deadLetters);

export const countFailedJobs = count('count_failed_jobs', failed);
export const countScheduledJobs = count('count_scheduled_jobs', scheduled);
export const countWaitingJobs = count('count_waiting_jobs', waiting);
export const countDeadLetters = count('count_dead_letters', deadLetters);

/** The highest id there is: jobs that come while many are being worked through are left to the next time. */
export const newestJob = statement<undefined, { readonly id: string | null }>({
  name: 'newest_job',
  text: ({ jobs }) => `select max(id)::text as id from ${jobs}`,
  values: () => [],
});
