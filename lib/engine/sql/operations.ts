import { statement } from './statement.js';

export interface BeginOperationArgs {
  readonly action: string;
  /** JSON text: what was asked for. */
  readonly asked: string;
  readonly by: string | null;
  readonly total: number;
}

export const beginOperation = statement<BeginOperationArgs, { readonly id: string }>({
  name: 'begin_operation',
  text: ({ operations }) => `insert into ${operations} (action, asked, by_whom, total)
    values ($1::text, $2::jsonb, $3::text, $4::bigint)
    returning id::text as id`,
  values: (args) => [args.action, args.asked, args.by, args.total],
});

export interface StepOperationArgs {
  readonly id: string;
  readonly done: number;
  readonly ended: boolean;
  /** It has stopped before its end. */
  readonly cancelled: boolean;
  readonly error: string | null;
}

/** It goes on, or has ended; `cancelled`: somebody has asked for it to stop. */
export const stepOperation = statement<StepOperationArgs, { readonly cancelled: boolean }>({
  name: 'step_operation',
  text: ({ operations }) => `update ${operations} as operation
       set done = $2::bigint, alive_at = now(), ended_at = case when $3::boolean then now() end, error = $4::text,
           cancelled = operation.cancelled or $5::boolean
     where operation.id = $1::bigint
    returning operation.cancelled`,
  values: (args) => [args.id, args.done, args.ended, args.error, args.cancelled],
});

/** Asks for it to stop. */
export const cancelOperation = statement<{ readonly id: string }, { readonly cancelled: boolean }>({
  name: 'cancel_operation',
  text: ({ operations }) => `update ${operations} as operation set cancelled = true
     where operation.id = $1::bigint and operation.ended_at is null
    returning operation.cancelled`,
  values: (args) => [args.id],
});

/** As JSON text; times in ISO 8601. */
export interface OperationRow {
  readonly operation: string;
}

export interface ReadOperationsArgs {
  /** `null`: the newest. */
  readonly id: string | null;
  readonly limit: number;
}

export const readOperations = statement<ReadOperationsArgs, OperationRow>({
  name: 'read_operations',
  text: ({
    operations,
  }) => `select json_build_object('id', operation.id::text, 'action', operation.action, 'asked', operation.asked, 'by', operation.by_whom,
             'total', operation.total, 'done', operation.done, 'createdAt', operation.created_at, 'endedAt', operation.ended_at, 'error', operation.error,
             'state', case when operation.error is not null then 'failed' when operation.ended_at is not null and operation.cancelled then 'cancelled'
                           when operation.ended_at is not null then 'done' when operation.alive_at < now() - interval '1 minute' then 'lost'
                           else 'running' end)::text as operation
      from ${operations} as operation
     where $1::bigint is null or operation.id = $1::bigint
     order by operation.id desc
     limit $2::integer`,
  values: (args) => [args.id, args.limit],
});
