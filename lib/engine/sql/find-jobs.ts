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
  readonly createdAfter: Date | null;
  readonly createdBefore: Date | null;
  /** In the name, the code or the message of the error, whatever the case. */
  readonly errorText: string | null;
  readonly fingerprint: string | null;
  readonly uniqueKey: string | null;
  readonly group: string | null;
  readonly runCountFrom: number | null;
  readonly runCountTo: number | null;
  /** Fields of the payload, and the text of each: all of them. */
  readonly payload: readonly (readonly [path: readonly string[], text: string])[] | null;
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

/** What is compared, where that depends on the kind of job: expressions of SQL. */
interface MatchedColumns {
  readonly error: string;
  readonly failedAt: string;
  readonly uniqueKey: string;
}

const OWN: MatchedColumns = {
  error: 'job.last_error',
  failedAt: 'job.failed_at',
  uniqueKey: 'job.unique_key',
};
const OF_DEAD_LETTER: MatchedColumns = {
  ...OWN,
  error: `job.meta -> 'deadLetter' -> 'error'`,
  failedAt: `(job.meta -> 'deadLetter' ->> 'failedAt')::timestamptz`,
};

/**
 * The conditions of {@link MatchArgs}, `$1` to `$18`. Sent with its values and planned for them, so that what does not matter is not looked
 * at, and the partial index of the state is used.
 */
export function matching({ schema }: Tables, { error, failedAt, uniqueKey }: MatchedColumns = OWN): string {
  return `($1::text[] is null or job.queue_name = any ($1::text[]))
       and ($2::bigint[] is null or job.id = any ($2::bigint[]))
       and ($3::text is null or ${error} ->> 'name' = $3::text)
       and ($4::text is null or ${error} ->> 'code' = $4::text)
       and ($5::timestamptz is null or ${failedAt} > $5::timestamptz)
       and ($6::timestamptz is null or ${failedAt} < $6::timestamptz)
       and ($7::double precision is null or job.created_at < now() - $7::double precision * interval '1 millisecond')
       and ($8::jsonb is null or job.meta -> 'tags' @> $8::jsonb)
       and ($9::text is null or job.meta -> 'deadLetter' ->> 'queue' = $9::text)
       and ($10::timestamptz is null or job.created_at > $10::timestamptz)
       and ($11::timestamptz is null or job.created_at < $11::timestamptz)
       and ($12::text is null or position(lower($12::text) in lower(concat_ws(' ', ${error} ->> 'name', ${error} ->> 'code', ${error} ->> 'message'))) > 0)
       and ($13::text is null or ${schema}.error_fingerprint(${error}) = $13::text)
       and ($14::text is null or ${uniqueKey} = $14::text)
       and ($15::text is null or job.group_key = $15::text)
       and ($16::integer is null or job.run_count >= $16::integer)
       and ($17::integer is null or job.run_count <= $17::integer)
       and ($18::jsonb is null or not exists (
             select from jsonb_array_elements($18::jsonb) as wanted
              where (job.payload #>> array(select jsonb_array_elements_text(wanted -> 0))) is distinct from wanted ->> 1))`;
}

export function matchValues(args: MatchArgs): unknown[] {
  const { queues, ids, errorName, errorCode, failedAfter, failedBefore, olderThanMs, tags, source } = args;
  const labels = tags === null ? null : JSON.stringify(tags);
  const { createdAfter, createdBefore, errorText, fingerprint, uniqueKey, group, runCountFrom, runCountTo } =
    args;
  return [
    queues,
    ids,
    errorName,
    errorCode,
    failedAfter,
    failedBefore,
    olderThanMs,
    labels,
    source,
    createdAfter,
    createdBefore,
    errorText,
    fingerprint,
    uniqueKey,
    group,
    runCountFrom,
    runCountTo,
    args.payload === null ? null : JSON.stringify(args.payload),
  ];
}

function findValues(args: FindArgs): unknown[] {
  return [...matchValues(args), args.after, args.until, args.limit];
}

type Where = (tables: Tables) => string;

const failed: Where = (tables) => `job.failed_at is not null and ${matching(tables)}`;
const scheduled: Where = (tables) => `job.run_at < 'infinity' and ${matching(tables)}`;
const waiting: Where = (tables) =>
  `(job.failed_at is not null or job.run_at < 'infinity') and ${matching(tables)}`;
const deadLetters: Where = (
  tables,
) => `job.meta ? 'deadLetter' and octet_length(job.meta -> 'deadLetter' ->> 'queue') between 1 and 128
       and not (job.run_at is null
                and exists (select from ${tables.leases} as lease
                             where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
       and ${matching(tables, OF_DEAD_LETTER)}`;

const part = (tables: Tables, where: Where) => `select job.id::text as id, job.seq::text as seq
      from ${tables.jobs} as job
     where ${where(tables)}
       and job.id > $19::bigint and job.id <= $20::bigint
     order by job.id
     limit $21::bigint`;

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
