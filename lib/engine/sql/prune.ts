import { statement } from './statement.js';

interface LimitArgs {
  readonly limit: number;
}

/** Forgets what is over, a bounded amount; `problem`: why finished jobs have no partitions. */
export const prune = statement<LimitArgs, { readonly problem: string | null }>({
  name: 'prune',
  text: ({ schema }) => `select ${schema}.prune($1::integer) as problem`,
  values: (args) => [args.limit],
});

/** Lifts the priority of jobs that have waited for long, of queues that ask for it. */
export const ageJobs = statement<LimitArgs, { readonly lifted: number }>({
  name: 'age_jobs',
  text: ({ schema }) => `select ${schema}.age_jobs($1::integer) as lifted`,
  values: (args) => [args.limit],
});
