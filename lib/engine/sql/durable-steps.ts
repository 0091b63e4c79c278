import { statement } from './statement.js';
import type { AttemptArgs } from './transact-job.js';

/** One of the steps, sleeps and waits of a job that are over. */
export interface StepRow {
  readonly kind: 'step' | 'sleep' | 'event';
  readonly name: string;
  readonly nth: number;
  /** JSON text; `null`: `undefined`. */
  readonly result: string | null;
}

/** What a job remembers of its attempts before. */
export const loadSteps = statement<{ readonly id: string }, StepRow>({
  name: 'load_steps',
  text: ({ steps }) => `select kind, name, nth, result::text as result
      from ${steps} where job_id = $1::bigint and finished_at is not null`,
  values: (args) => [args.id],
});

export interface StoreStepArgs extends AttemptArgs {
  readonly name: string;
  /** JSON text; `null`: `undefined`. */
  readonly result: string | null;
}

/**
 * Remembers the result of a step, if the job still belongs to this attempt; without a row it does not, and nothing was written. The row stays
 * locked until the commit: whoever takes the job over afterwards knows of the step. May be sent again when its reply was lost.
 */
export const storeStep = statement<StoreStepArgs, { readonly id: string }>({
  name: 'store_step',
  text: ({ jobs, steps }) => `with mine as materialized (
      select id from ${jobs} where id = $1::bigint and seq = $2::bigint and run_at is null for no key update
    ), flagged as (
      update ${jobs} as job set flags = job.flags | 8 from mine where job.id = mine.id and job.flags & 8 = 0
    ), stored as (
      insert into ${steps} (job_id, kind, name, finished_at, result)
      select mine.id, 'step', $3::text, now(), $4::jsonb from mine
      on conflict (job_id, kind, name, nth) do nothing
    )
    select id from mine`,
  values: (args) => [args.id, args.seq, args.name, args.result],
});

export interface BeginWaitArgs extends AttemptArgs {
  readonly kind: 'sleep' | 'event';
  readonly name: string;
  readonly nth: number;
  /** `null`: only time ends it. */
  readonly event: string | null;
  /** Milliseconds; `null`: only the event ends it. */
  readonly waitMs: number | null;
}

/** A wait of a job that belongs to this attempt. */
export interface WaitRow {
  readonly finished: boolean;
  /** JSON text; `null`: `undefined`. */
  readonly result: string | null;
}

/** Begins a wait, or looks what has become of one that was begun before. A database function (see the migration): it looks, locks and looks again. */
export const beginWait = statement<BeginWaitArgs, WaitRow>({
  name: 'begin_wait',
  text: ({ schema }) => `select finished, result
      from ${schema}.begin_wait($1::bigint, $2::bigint, $3::text, $4::text, $5::integer, $6::text, $7::double precision)`,
  values: (args) => [args.id, args.seq, args.kind, args.name, args.nth, args.event, args.waitMs],
});

/** A job that was ours, and is parked. */
export interface ParkedRow {
  readonly queue: string;
  /** Milliseconds until it runs again; `null`: when its event comes. */
  readonly in_ms: number | null;
}

/** Ends an attempt whose handler waits: the job is parked until the first of what it waits for, without having spent the attempt. */
export const parkJob = statement<AttemptArgs, ParkedRow>({
  name: 'park_job',
  text: ({ schema }) => `select queue, in_ms from ${schema}.park_job($1::bigint, $2::bigint)`,
  values: (args) => [args.id, args.seq],
});
