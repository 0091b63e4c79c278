import { statement } from './statement.js';

export interface EmitArgs {
  readonly event: string;
  /** JSON text. */
  readonly payload: string;
  /** Milliseconds in which who begins to wait has it as well. */
  readonly keepMs: number;
}

/** Emits an event: whoever waits for it wakes after the commit. One scalar parameter, so that any driver and ORM can bind it. */
export const emitEvent = statement<EmitArgs, { readonly emitted: boolean }>({
  name: 'emit_event',
  text: ({ schema }) => `select true as emitted
      from (select $1::json as event) as given
     cross join lateral ${schema}.emit(given.event ->> 'n', (given.event -> 'p')::jsonb, (given.event ->> 'k')::double precision)`,
  values: ({ event, payload, keepMs }) => [`{"n":${JSON.stringify(event)},"p":${payload},"k":${keepMs}}`],
});

export interface DeliveredRow {
  /** Events that were dealt with. */
  readonly delivered: number;
  /** Waits that have ended by them. */
  readonly ended: number;
  /** Events for which somebody still waits whose job was locked, or of whom there were too many for one pass. */
  readonly held: number;
  /** Of jobs that are ready now. */
  readonly queues: readonly string[];
}

/** Wakes the jobs that wait for what was emitted; call again while the answer is full, or something was held and something ended. */
export const deliverEvents = statement<{ readonly limit: number }, DeliveredRow>({
  name: 'deliver_events',
  text: ({ schema }) => `select delivered, ended, held, queues from ${schema}.deliver_events($1::integer)`,
  values: (args) => [args.limit],
});
