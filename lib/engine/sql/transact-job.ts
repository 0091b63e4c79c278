import { keptParts } from './finish-jobs.js';
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

export interface AckLockedArgs extends AttemptArgs {
  /** JSON text; `null`: none. */
  readonly result: string | null;
  /** Milliseconds; 0: not kept; `null`: for ever. */
  readonly keepMs: number | null;
}

/** Last statement of `job.transaction()`: the ack, in the transaction of the handler's writes. */
export const ackLockedJob = statement<AckLockedArgs, { readonly id: string }>({
  name: 'ack_locked_job',
  text: (tables) => `with gone as (
      delete from ${tables.jobs} where id = $1::bigint and seq = $2::bigint
      returning *, $3::text as result, $4::double precision as keep_ms
    ), ${keptParts(tables, "'completed'")}
    select gone.id, set_config('taskmaster.outcome', 'completed', true) as outcome from gone`,
  values: (args) => [args.id, args.seq, args.result, args.keepMs],
});
