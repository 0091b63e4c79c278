import type { QueueSettings } from '../job/queue-settings.js';
import type { StoredQueueOptions } from '../job/stored-options.js';
import { statement } from './statement.js';

const COLUMNS = [
  'max_running',
  'rate_limit',
  'rate_period_ms',
  'rate_by_group',
  'group_slots',
  'group_fifo',
  'group_block',
  'completed_ms',
  'failed_ms',
  'cancelled_ms',
  'ageing_ms',
  'said_pending',
];

function columnsOf(row: string): string {
  return COLUMNS.map((column) => `${row}.${column}`).join(', ');
}

/** What is said of a queue: its settings, and the options that are kept as they are. */
export type SyncedQueue = QueueSettings & { readonly options: StoredQueueOptions };

/** What is left of the options of a queue when those that are said anew are taken away. */
const OTHERS = `(known.options - '{deadLetter,maxAttempts}'::text[])`;

/**
 * Says what the queues of a worker are like: the worker that was started last has the last word. Writes only what differs, and no row for a queue
 * that is like any other.
 */
export const syncQueues = statement<{ readonly queues: readonly SyncedQueue[] }, never>({
  name: 'sync_queues',
  text: ({ queues }) => `with said as (
      select q."name" as name, q."maxRunning" as max_running, q."rateLimit" as rate_limit, q."ratePeriodMs" as rate_period_ms,
             q."rateByGroup" as rate_by_group, q."groupSlots" as group_slots, q."groupFifo" as group_fifo, q."groupBlock" as group_block,
             q."completedMs" as completed_ms, q."failedMs" as failed_ms, q."cancelledMs" as cancelled_ms, q."ageingMs" as ageing_ms, q."maxPending" as said_pending, q."options" as options
        from json_to_recordset($1::json) as q("name" text, "maxRunning" integer, "rateLimit" integer, "ratePeriodMs" double precision,
             "rateByGroup" boolean, "groupSlots" integer, "groupFifo" boolean, "groupBlock" boolean,
             "completedMs" double precision, "failedMs" double precision, "cancelledMs" double precision, "ageingMs" double precision, "maxPending" integer, "options" jsonb)
    )
    insert into ${queues} as known (name, options, ${COLUMNS.join(', ')})
    select said.name, said.options, ${columnsOf('said')} from said
     where (${columnsOf('said')}) is distinct from (null, null, null, false, 1, true, false, 0, null, 0, null, null)
        or said.options <> '{}'
        or exists (select from ${queues} as other where other.name = said.name)
     order by said.name
    on conflict (name) do update set (options, ${COLUMNS.join(', ')}) = (${OTHERS} || excluded.options, ${columnsOf('excluded')})
      where (known.options, ${columnsOf('known')}) is distinct from (${OTHERS} || excluded.options, ${columnsOf('excluded')})`,
  values: ({ queues }) => [JSON.stringify(queues)],
});

export interface HoldQueuesArgs {
  readonly holds: readonly { readonly queue: string; readonly delayMs: number }[];
}

/** Nothing of these queues starts for a while, in any process. A longer hold that is there already stays. */
export const holdQueues = statement<HoldQueuesArgs, never>({
  name: 'hold_queues',
  text: ({ queues }) => `insert into ${queues} as known (name, held_until)
    select queue, now() + max(delay_ms) * interval '1 millisecond'
      from unnest($1::text[], $2::double precision[]) as hold(queue, delay_ms) group by queue order by queue
    on conflict (name) do update set held_until = greatest(known.held_until, excluded.held_until)`,
  values: ({ holds }) => [holds.map((hold) => hold.queue), holds.map((hold) => hold.delayMs)],
});

/** Applies what the ends of jobs mean to others; call again while the answer is full. */
export const applyEffects = statement<{ readonly limit: number }, { readonly applied: number }>({
  name: 'apply_effects',
  text: ({ schema }) => `select ${schema}.apply_effects($1::integer) as applied`,
  values: (args) => [args.limit],
});
