import type { TestDatabase } from '../../support/test-database.js';

/** Leases of one job each, of a worker that is dead: all jobs of the queue, which nobody has taken yet. */
export async function leaseToDead(database: TestDatabase, queue: string): Promise<void> {
  const schema = `"${database.schema}"`;
  await database.query(
    `with dead as (
       insert into ${schema}.workers (name, host, pid, expires_at) values ('dead', 'grave', 666, '-infinity') returning id
     ), opened as (
       insert into ${schema}.lanes as lane (queue_name, priority, head) select $1, 0, max(seq) from ${schema}.jobs
       on conflict (queue_name, priority) do update set head = excluded.head
     )
     insert into ${schema}.leases (worker_id, queue_name, priority, seqs, ids)
     select dead.id, job.queue_name, job.priority, array[job.seq], array[job.id]
       from dead, ${schema}.jobs as job where job.queue_name = $1`,
    [queue],
  );
}
