import { statement } from './statement.js';

export interface AttemptArgs {
  readonly id: string;
  readonly seq: string;
}

/**
 * First statement of `job.transaction()`: locks the job, if it still belongs to this attempt. From here to the commit
 * nobody can take it over.
 */
export const lockJob = statement<AttemptArgs, { readonly id: string }>({
  name: 'lock_job',
  text: ({ jobs }) => `select id from ${jobs} where id = $1::bigint and seq = $2::bigint for update`,
  values: (args) => [args.id, args.seq],
});

/** Last statement of `job.transaction()`: the ack, in the transaction of the handler's writes. */
export const ackLockedJob = statement<AttemptArgs, { readonly id: string }>({
  name: 'ack_locked_job',
  text: ({ jobs }) => `delete from ${jobs} where id = $1::bigint and seq = $2::bigint returning id`,
  values: (args) => [args.id, args.seq],
});
