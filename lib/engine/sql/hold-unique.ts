import { statement } from './statement.js';

export interface HoldUniqueArgs {
  readonly queue: string;
  /** JSON text of the rule `u` of a job, as `enqueue_jobs` takes it. */
  readonly rule: string;
}

/** As a driver answers: some read a bigint as a number, or JSON as an object. */
export interface HeldRow {
  readonly id: unknown;
  /** JSON text. */
  readonly payload: string;
  readonly version: number;
}

/** The job that holds a unique key and waits, locked until the transaction ends. One scalar parameter, so that any driver and ORM can bind it. */
export const holdUnique = statement<HoldUniqueArgs, HeldRow>({
  name: 'hold_unique',
  text: ({ schema }) => `select held.id, held.payload::text as payload, held.version
      from (select $1::json as wanted) as given
     cross join lateral ${schema}.hold_unique(wanted ->> 'q', (wanted -> 'u')::jsonb) as held`,
  values: ({ queue, rule }) => [`{"q":${JSON.stringify(queue)},"u":${rule}}`],
});
