import { statement } from './statement.js';

/** A worker that is alive, as JSON text of a {@link WorkerJson}. */
export interface WorkerRow {
  readonly worker: string;
}

/** Times in ISO 8601. */
export interface WorkerJson {
  readonly id: number;
  readonly name: string;
  readonly host: string | null;
  readonly pid: number | null;
  readonly version: string | null;
  readonly startedAt: string;
  readonly heartbeatAt: string;
  readonly state: 'running' | 'quiet' | 'draining';
  readonly queues: Readonly<Record<string, number>>;
  readonly running: number;
  readonly oldestAt: string | null;
  /** The database's clock. */
  readonly now: string;
}

export interface ListWorkersArgs {
  /** Those that work on this queue; `null`: all. */
  readonly queue: string | null;
  /** After this id. */
  readonly after: number;
  readonly limit: number;
}

/** Workers that are alive, in the order of their ids, with what they run: no more than their slots. */
export const listWorkers = statement<ListWorkersArgs, WorkerRow>({
  name: 'list_workers',
  text: ({
    workers,
    leases,
    jobs,
  }) => `select json_build_object('id', worker.id, 'name', worker.name, 'host', worker.host, 'pid', worker.pid,
             'version', worker.version, 'startedAt', worker.started_at, 'heartbeatAt', worker.heartbeat_at, 'queues', worker.queues,
             'state', case when worker.draining or worker.orders % 4 = 2 then 'draining' when worker.orders % 4 = 1 then 'quiet' else 'running' end,
             'running', held.running, 'oldestAt', held.oldest_at, 'now', now())::text as worker
      from ${workers} as worker
     cross join lateral (
       select count(*) as running, min(lease.claimed_at) as oldest_at
         from ${leases} as lease cross join lateral unnest(lease.seqs, lease.ids) as leased(seq, id)
         join ${jobs} as job on job.id = leased.id and job.seq = leased.seq
        where lease.worker_id = worker.id) as held
     where worker.expires_at > now() and worker.id > $2::integer and ($1::text is null or worker.queues ? $1::text)
     order by worker.id
     limit $3::integer`,
  values: ({ queue, after, limit }) => [queue, after, limit],
});
