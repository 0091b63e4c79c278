import { numberArray, statement } from './statement.js';

export interface RegisterWorkerArgs {
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly ttlMs: number;
  /** The release of the library. */
  readonly version?: string;
  /** What it works on, and how many jobs of each may run at once. @default nothing */
  readonly queues?: Readonly<Record<string, number>>;
  /** What it has been told so far under another id, see `workers.orders`. @default 0, nothing */
  readonly orders?: number;
}

/** A new worker: a process incarnation, alive until its lease runs out. */
export const registerWorker = statement<RegisterWorkerArgs, { readonly id: number }>({
  name: 'register_worker',
  text: ({ workers }) => `insert into ${workers} (name, host, pid, expires_at, version, queues, orders)
    values ($1::text, $2::text, $3::integer, now() + $4::double precision * interval '1 millisecond', $5::text, $6::jsonb, $7::integer)
    returning id`,
  values: ({ name, host, pid, ttlMs, version, queues = {}, orders = 0 }) => [
    name,
    host,
    pid,
    ttlMs,
    version,
    JSON.stringify(queues),
    orders,
  ],
});

/**
 * Says that a worker is alive. No row: it has been declared dead, its jobs belong to others.
 * The thread of `heartbeat-thread.mjs` runs the same text.
 */
export const heartbeat = statement<
  { readonly workerId: number; readonly ttlMs: number },
  { readonly now_ms: number; readonly workers: number; readonly orders: number }
>({
  name: 'heartbeat',
  text: ({
    workers,
  }) => `update ${workers} set heartbeat_at = now(), expires_at = now() + $2::double precision * interval '1 millisecond'
    where id = $1::integer
    returning (extract(epoch from now()) * 1000)::double precision as now_ms, orders,
              (select count(*) from ${workers})::integer as workers, set_config('synchronous_commit', 'off', true) as relaxed`,
  values: (args) => [args.workerId, args.ttlMs],
});

/** A worker that stops has nothing left to be rescued. */
export const unregisterWorker = statement<{ readonly workerId: number }, never>({
  name: 'unregister_worker',
  text: ({ workers }) => `delete from ${workers} where id = $1::integer`,
  values: (args) => [args.workerId],
});

/** What the database thinks this worker runs; `settled` leases are old enough for the claim's reply to have arrived. */
export const listLeases = statement<
  { readonly workerId: number },
  { readonly id: string; readonly settled: boolean }
>({
  name: 'list_leases',
  text: ({ leases }) =>
    `select id, claimed_at < now() - interval '2 seconds' as settled from ${leases} where worker_id = $1::integer`,
  values: (args) => [args.workerId],
});

export interface ReleaseLeasesArgs {
  readonly leases: readonly string[];
}

/**
 * Gives back whole leases whose jobs never started here, such as those of a claim whose reply was lost.
 * New tokens, no attempt counted.
 */
export const releaseLeases = statement<
  ReleaseLeasesArgs,
  { readonly id: string; readonly queue_name: string }
>({
  name: 'release_leases',
  text: ({ jobs, jobsSeq, leases, schema }) => `with given as (
      delete from ${leases} where id = any ($1::bigint[]) returning seqs, ids
    ), back as (
      update ${jobs} as job set seq = nextval(${jobsSeq})
        from (select unnest(given.ids) as id, unnest(given.seqs) as seq from given) as held
       where job.id = held.id and job.seq = held.seq and job.run_at is null
      returning job.id, job.queue_name
    ), rung as materialized (
      select ${schema}.ring(queue_name) from (select distinct queue_name from back) as ready
    )
    select back.id, back.queue_name, (select count(*) from rung) as rung from back`,
  values: (args) => [numberArray(args.leases)],
});
