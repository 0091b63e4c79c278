import type { JobError } from '../events.js';
import type { JobMeta } from '../job/job.js';
import type { JobState } from '../job/job-state.js';
import { matching, matchValues, type MatchArgs } from './find-jobs.js';
import { statement } from './statement.js';
import type { Tables } from './tables.js';

/** A job, as JSON text of a {@link JobJson}: whatever parsers an application has given to `pg`, it reads the same. */
export interface JobRow {
  readonly job: string;
}

/** A job as it is read; times in ISO 8601. */
export interface JobJson {
  readonly id: string;
  /** `null` for one that has ended and is kept. */
  readonly seq: string | null;
  readonly queue: string;
  readonly state: JobState;
  readonly payload: unknown;
  readonly runCount: number;
  readonly crashCount: number;
  readonly maxAttempts: number | null;
  readonly priority: number;
  readonly createdAt: string;
  /** 'infinity' for a job that waits for no time. */
  readonly runAt: string | null;
  readonly failedAt: string | null;
  readonly finishedAt: string | null;
  readonly expiresAt: string | null;
  readonly lastError: JobError | null;
  readonly errors: unknown;
  readonly result: unknown;
  readonly progress: unknown;
  readonly logs: unknown;
  readonly lockedAt: string | null;
  readonly lockedBy: number | null;
  readonly group: string | null;
  readonly uniqueKey: string | null;
  readonly meta: JobMeta | null;
}

/** Jobs that have not ended or have failed. */
const live = ({ jobs, schema }: Tables) => `(
          select state.*, token.seq, null::timestamptz as finished_at, null::jsonb as result, token.progress, token.logs
            from ${schema}.job_states as state join ${jobs} as token on token.id = state.id)`;

/** Those that have ended and are kept. */
const kept = ({ schema }: Tables) => `(
          select ended.id, ended.queue_name, ended.payload, ended.state, ended.run_count, null::integer as max_attempts, ended.priority,
                 ended.created_at, null::timestamptz as run_at, case when ended.state = 'failed' then ended.finished_at end as failed_at,
                 ended.error as last_error, null::timestamptz as locked_at, null::integer as locked_by, 0 as crash_count, ended.group_key,
                 null::text as unique_key, ended.meta, null::timestamptz as expires_at, null::jsonb as errors, null::bigint as seq,
                 ended.finished_at, ended.result, ended.progress, ended.logs
            from ${schema}.finished_jobs as ended)`;

const JOB = `json_build_object('id', job.id::text, 'seq', job.seq::text, 'queue', job.queue_name, 'state', job.state, 'payload', job.payload,
               'runCount', job.run_count, 'crashCount', job.crash_count, 'maxAttempts', job.max_attempts, 'priority', job.priority,
               'createdAt', job.created_at, 'runAt', job.run_at, 'failedAt', job.failed_at, 'finishedAt', job.finished_at,
               'expiresAt', job.expires_at, 'lastError', job.last_error, 'errors', job.errors, 'result', job.result, 'progress', job.progress, 'logs', job.logs,
               'lockedAt', job.locked_at, 'lockedBy', job.locked_by,
               'group', job.group_key, 'uniqueKey', job.unique_key, 'meta', job.meta)::text as job`;

/** These jobs, in the order of their ids; those that are gone are not in it. */
export const readJobs = statement<{ readonly ids: readonly string[] }, JobRow>({
  name: 'read_jobs',
  text: (tables) => `select found.job
      from (select job.id, ${JOB} from ${live(tables)} as job where job.id = any ($1::bigint[])
            union all
            select job.id, ${JOB} from ${kept(tables)} as job where job.id = any ($1::bigint[])) as found
     order by found.id`,
  values: (args) => [args.ids],
});

export interface ListJobsArgs extends MatchArgs {
  readonly states: readonly JobState[] | null;
  /** Before this id; `null` for the newest. */
  readonly before: string | null;
  readonly limit: number;
  /** Among so many of the newest ids only; `null`: among all. */
  readonly window: string | null;
}

const page = (tables: Tables, jobs: string) => `(
        select job.id, ${JOB}
          from ${jobs} as job
         where ${matching(tables)}
           and ($19::text[] is null or job.state = any ($19::text[]))
           and ($19::text[] is distinct from '{failed}' or job.failed_at is not null)
           and ($20::bigint is null or job.id < $20::bigint)
           and ($22::bigint is null or job.id > (select ids.last_value from ${tables.schema}.jobs_id_seq as ids) - $22::bigint)
         order by job.id desc
         limit $21::bigint)`;

/** A page of the jobs that match, newest first; of each kind no more than the page takes. */
export const listJobs = statement<ListJobsArgs, JobRow>({
  name: 'list_jobs',
  text: (tables) => `select found.job
      from (${page(tables, live(tables))} union all ${page(tables, kept(tables))}) as found
     order by found.id desc
     limit $21::bigint`,
  values: (args) => [...matchValues(args), args.states, args.before, args.limit, args.window],
});
