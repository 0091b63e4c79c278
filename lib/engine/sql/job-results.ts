import { numberArray, statement } from './statement.js';

/** What has become of a job. */
export interface JobResultRow {
  readonly id: string;
  /** `null`: neither there nor kept. */
  readonly state: 'waiting' | 'completed' | 'failed' | 'cancelled' | null;
  /** JSON text. */
  readonly result: string | null;
  /** JSON text. */
  readonly error: string | null;
}

interface IdsArgs {
  readonly ids: readonly string[];
}

/** What has become of these jobs, in one snapshot: a job is either still there or kept. */
export const jobResults = statement<IdsArgs, JobResultRow>({
  name: 'job_results',
  text: ({ jobs, finished }) => `select wanted.id,
           case when job.failed_at is not null then 'failed' when job.id is not null then 'waiting' else kept.state end as state,
           kept.result::text as result, coalesce(kept.error, job.last_error)::text as error
      from unnest($1::bigint[]) as wanted(id)
      left join ${jobs} as job on job.id = wanted.id
      left join lateral (
        select f.state, f.result, f.error from ${finished} as f where f.id = wanted.id limit 1) as kept on job.id is null`,
  values: ({ ids }) => [numberArray(ids)],
});

/** Says that somebody wants to know how these jobs end: whoever ends them tells everybody, and keeps the result of those not claimed yet. */
export const awaitResults = statement<IdsArgs, never>({
  name: 'await_results',
  text: ({ jobs }) =>
    `update ${jobs} set flags = flags | 2 where id = any ($1::bigint[]) and flags & 2 = 0 and failed_at is null`,
  values: ({ ids }) => [numberArray(ids)],
});
