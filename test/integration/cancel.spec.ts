import { describe, expect, it } from 'vitest';
import { ack, type Job } from '../../lib/engine/index.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { NO_BELLS, SHORT_LEASE, workingEngine } from './support/working-engine.js';

async function cancel(database: TestDatabase, id: string): Promise<string> {
  const [row] = await database.query<{ answer: string }>(`select "${database.schema}".cancel($1) as answer`, [
    id,
  ]);
  return row!.answer;
}

async function finished(database: TestDatabase): Promise<Record<string, unknown>[]> {
  return database.query(
    `select id, state, run_count, error ->> 'code' as code from "${database.schema}".finished_jobs order by id`,
  );
}

describe('a job that is cancelled', () => {
  const waiting: Record<string, Record<string, unknown>> = {
    'while it is ready': {},
    'while it is scheduled': { run_at: new Date(Date.now() + 60_000) },
    'while it waits for its group': { group_key: 'a' },
  };

  it.each(Object.entries(waiting))('%s is gone, and never runs', async (_name, columns) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', columns);
    expect(await cancel(database, id)).toBe('cancelled');
    expect(await cancel(database, id)).toBe('none');
    expect(await jobs.all()).toEqual([]);
    const { log } = await workingEngine(database, { mail: () => undefined });
    await jobs.insert('mail');
    await log.of('completed').count(1);
    expect(log.of('started').values).toHaveLength(1);
  });

  it('after it has failed stays failed', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { run_at: 'infinity', failed_at: new Date(), run_count: 1 });
    expect(await cancel(database, id)).toBe('none');
    expect(await jobs.of(id)).toMatchObject({ state: 'failed' });
  });

  const running = async (options: object = {}, then: (job: Job<never>) => unknown = () => undefined) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const aborted = new SignalPoint<{ readonly error: unknown; readonly at: number }>();
    const handle = async (job: Job<never>) => {
      await closed.pass(job.signal).catch((error: unknown) => {
        aborted.signal({ error, at: performance.now() });
        const answer = then(job);
        if (answer === undefined) throw error;
      });
    };
    const engine = await workingEngine(
      database,
      { mail: { retention: { cancelledMs: 60_000 }, handle } },
      options,
    );
    const id = await jobs.insert('mail');
    await closed.reached(1);
    return { database, jobs, closed, aborted, id, ...engine };
  };

  it('while it runs is told at once, in whatever process, and ends cancelled', async () => {
    const { database, jobs, aborted, id, log } = await running();
    const at = performance.now();
    expect(await cancel(database, id)).toBe('aborting');
    const [told] = await aborted.count(1);
    expect(told!.error).toMatchObject({ code: 'TM_CANCELLED', jobId: id });
    expect(told!.at - at).toBeLessThan(1_000);
    expect(await log.of('cancelled').count(1)).toMatchObject([{ jobId: id, queue: 'mail', runCount: 1 }]);
    await jobs.empty();
    expect(await finished(database)).toMatchObject([{ id, state: 'cancelled', run_count: 1 }]);
  });

  it('while it runs is told without bells too', async () => {
    const { database, jobs, aborted, id } = await running({ ...NO_BELLS, lease: SHORT_LEASE });
    expect(await cancel(database, id)).toBe('aborting');
    await aborted.count(1);
    await jobs.empty();
  });

  it('while it runs is completed when its handler says so', async () => {
    const { database, jobs, id, log } = await running({}, () => ack('done all the same'));
    await cancel(database, id);
    await log.of('completed').count(1);
    await jobs.empty();
    expect(log.of('cancelled').values).toEqual([]);
  });

  it('while it is claimed and has not started never starts', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    let quick = true;
    const { log } = await workingEngine(database, {
      mail: { concurrency: 1, handle: () => (quick ? undefined : closed.pass()) },
    });
    await jobs.insertMany('mail', 200); // quick ones: it learns to claim ahead
    await jobs.empty();
    quick = false;
    const ids = await jobs.insertMany('mail', 3);
    await closed.reached(1);
    const last = await jobs.in(ids[2]!, 'running');
    expect(await cancel(database, last.id)).toBe('aborting');
    expect(await log.of('cancelled').count(1)).toMatchObject([{ jobId: last.id }]);
    closed.open();
    await jobs.empty();
    expect(log.of('started').values.map((event) => event.jobId)).not.toContain(last.id);
  });

  it('while its worker dies does not run again', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail');
    await database.query(
      `with dead as (insert into ${jobs.schema}.workers (name, expires_at) values ('dead', now() + interval '1 second') returning id)
       insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
       select dead.id, 'mail', 0, array[job.seq], array[job.id] from dead, ${jobs.schema}.jobs as job`,
    );
    expect(await cancel(database, id)).toBe('aborting');
    const ran: string[] = [];
    const { log } = await workingEngine(database, { mail: (job) => void ran.push(job.id) });
    expect(await log.of('cancelled').count(1)).toMatchObject([{ jobId: id }]);
    await jobs.empty();
    expect(ran).toEqual([]);
  });
});
