import { statement } from './statement.js';

export interface LeaveArgs {
  readonly id: string;
  /** The token of the attempt. */
  readonly seq: string;
  readonly version: number;
}

/** Leaves a job to workers that know the version of its payload. `left`: false when it does not belong to this attempt any more. */
export const leaveJob = statement<LeaveArgs, { readonly left: boolean }>({
  name: 'leave_job',
  text: ({ schema }) => `select ${schema}.leave_job($1::bigint, $2::bigint, $3::integer) as left`,
  values: (args) => [args.id, args.seq, args.version],
});

export interface TakeUpArgs {
  /** Queues, and the newest version of each that the caller knows. */
  readonly queues: readonly { readonly queue: string; readonly version: number }[];
  /** At most so many jobs; call again while it answers. */
  readonly limit: number;
}

/** Makes jobs ready that were left to a worker like this one; answers with their queues. */
export const takeUp = statement<TakeUpArgs, { readonly queue: string }>({
  name: 'take_up',
  text: ({ schema }) => `select queue from ${schema}.take_up($1::text[], $2::integer[], $3::integer)`,
  values: ({ queues, limit }) => [
    queues.map(({ queue }) => queue),
    queues.map(({ version }) => version),
    limit,
  ],
});
