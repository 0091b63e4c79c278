import { statement } from './statement.js';

export interface EnqueueArgs {
  /**
   * JSON text: an array of `{ q, p, at?, d?, pr?, m?, x? }`: queue, payload, run at (ISO 8601) or delay (ms), priority,
   * maxAttempts, meta. One scalar parameter carries one job or thousands, and any driver or ORM can bind it.
   */
  readonly jobs: string;
}

/** Ids in the order of the input. */
export interface EnqueuedRow {
  readonly id: string;
}

/** Stores jobs; each is ready at once, or scheduled. */
export const enqueueJobs = statement<EnqueueArgs, EnqueuedRow>({
  name: 'enqueue_jobs',
  text: ({ jobs }) => `insert into ${jobs} (queue_name, payload, run_at, priority, max_attempts, meta)
    select job ->> 'q', (job -> 'p')::jsonb,
           coalesce((job ->> 'at')::timestamptz, now() + (job ->> 'd')::double precision * interval '1 millisecond'),
           coalesce((job ->> 'pr')::smallint, 0::smallint), (job ->> 'm')::integer, (job -> 'x')::jsonb
      from json_array_elements($1::json) as new(job)
    returning id`,
  values: (args) => [args.jobs],
});
