import { statement } from './statement.js';

export interface ExpireArgs {
  /** At most this many jobs; call again while the answer is full. */
  readonly limit: number;
}

/** A job that has failed because nobody began it in time. */
export interface ExpiredRow {
  readonly id: string;
  readonly queue_name: string;
  readonly run_count: number;
}

/**
 * Fails waiting jobs that have expired, also those of queues that nobody works on. A database function (see the migration), because it
 * must hold the lanes before it looks at the leases.
 */
export const expireJobs = statement<ExpireArgs, ExpiredRow>({
  name: 'expire_jobs',
  text: ({ schema }) =>
    `select id, queue as queue_name, attempts as run_count from ${schema}.expire($1::integer)`,
  values: (args) => [args.limit],
});
