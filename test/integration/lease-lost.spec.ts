import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { LeaseLostError, type Job } from '../../lib/engine/index.js';
import { rescheduleJobs } from '../../lib/engine/sql/reschedule-jobs.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { ackJobs } from '../../lib/engine/sql/claim-jobs.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { statementRunner } from './support/statement-runner.js';
import { workingEngine } from './support/working-engine.js';

/** What {@link running} is given. */
interface RunningOptions {
  readonly database?: TestDatabase;
  /** @default that of the database */
  readonly connection?: pg.ClientConfig;
  /** What the handler does when it is let go on. */
  readonly ending?: () => unknown;
}

/** One engine that runs one job, stopped inside its handler. */
async function running({ database: given, connection, ending }: RunningOptions = {}) {
  const database = given ?? (await testDatabase());
  const jobs = new JobTable(database);
  const closed = gate();
  const reasons = new SignalPoint<unknown>();
  const handle = async (job: Job<never>) => {
    job.signal.addEventListener('abort', () => reasons.signal(job.signal.reason));
    await closed.pass();
    return ending?.();
  };
  const engine = await workingEngine(
    database,
    { mail: handle },
    { connection: connection ?? database.config },
  );
  const id = await jobs.insert('mail');
  await closed.reached(1);
  return { database, jobs, closed, reasons, id, ...engine };
}

describe('a job that was deleted while it ran', () => {
  it('is reported as a lost lease when its handler ends', async () => {
    const { database, jobs, closed, log, id } = await running();
    await database.query(`delete from ${jobs.schema}.jobs where id = $1`, [id]);
    closed.open();
    expect(await log.of('leaseLost').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    expect(log.of('completed').values).toEqual([]);
    await jobs.empty();
  });

  it('is reported as well when its handler throws', async () => {
    const { database, jobs, closed, log, id } = await running({
      ending: () => {
        throw new Error('late');
      },
    });
    await database.query(`delete from ${jobs.schema}.jobs where id = $1`, [id]);
    closed.open();
    expect(await log.of('leaseLost').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    expect(log.of('retried').values).toEqual([]);
    await jobs.empty();
  });
});

describe('a worker that was cut off for longer than its lease', () => {
  it('tells its handlers, cannot settle what they do, and goes on under a new id', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { jobs, closed, reasons, log, id } = await running({ database, connection });
    const [cutOff] = await jobs.workers();
    const other = await workingEngine(database, { mail: () => undefined }, { name: 'other' });
    proxy.blackhole();
    expect(await reasons.count(1)).toEqual([expect.any(LeaseLostError)]);
    expect(await other.log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 2 }]);
    await other.taskmaster.stop();

    proxy.refuse(); // its connections end, so that it learns at once that the network is back
    proxy.pass();
    closed.open();
    expect(await log.of('leaseLost').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    const next = await jobs.insert('mail');
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: next, runCount: 1 }]);
    expect(await jobs.workers()).not.toContain(cutOff);
  });

  it('reports nothing as done that it could not even send', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { jobs, closed, log, id } = await running({ database, connection });
    const other = await workingEngine(database, { mail: () => undefined }, { name: 'other' });
    proxy.refuse();
    await log.of('databaseLost').count(1);
    closed.open(); // the ack cannot be sent
    expect(await other.log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 2 }]);
    proxy.pass();
    expect(await log.of('leaseLost').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    expect(log.of('completed').values).toEqual([]);
    await jobs.empty();
  });
});

describe('a worker that is dead', () => {
  it('has its jobs rescued once, by whoever finds them', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail');
    await database.query(
      `with dead as (insert into ${jobs.schema}.workers (name, expires_at) values ('dead', now()) returning id)
       insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
       select dead.id, 'mail', 0, array_agg(job.seq), array_agg(job.id) from dead, ${jobs.schema}.jobs as job group by dead.id`,
    );
    await database.query(
      `insert into ${jobs.schema}.lanes (queue_name, priority, head) select 'mail', 0, seq from ${jobs.schema}.jobs`,
    );
    const starting = [1, 2, 3, 4].map((n) =>
      workingEngine(database, { mail: () => undefined }, { name: `engine ${n}` }),
    );
    const logs = (await Promise.all(starting)).map((engine) => engine.log);
    await jobs.empty();
    const events = await eventually(() => {
      const rescued = logs.flatMap((log) => [...log.of('rescued').values]);
      return rescued.length > 0 && { rescued, started: logs.flatMap((log) => [...log.of('started').values]) };
    });
    expect(events).toMatchObject({
      rescued: [{ jobId: id, runCount: 1, failed: false }],
      started: [{ jobId: id, runCount: 2 }],
    });
  });
});

describe('a lease that was taken away', () => {
  it('is noticed while its handler runs', async () => {
    const { database, jobs, reasons, closed, log } = await running();
    await database.query(`delete from ${jobs.schema}.leases`);
    expect(await reasons.count(1)).toEqual([expect.any(LeaseLostError)]);
    closed.open();
    await eventually(() => log.of('completed').values.length + log.of('leaseLost').values.length > 0);
  });
});

describe('a rescue that races a settlement', () => {
  const settlements = {
    ack: (id: string, seq: string) => [ackJobs, { ids: [id], seqs: [seq], leases: [] }] as const,
    retry: (id: string, seq: string) =>
      [rescheduleJobs, { jobs: [{ id, seq, delayMs: 0, counted: true, error: '{}' }], leases: [] }] as const,
    snooze: (id: string, seq: string) =>
      [
        rescheduleJobs,
        { jobs: [{ id, seq, delayMs: 60_000, counted: false, error: null }], leases: [] },
      ] as const,
    fail: (id: string, seq: string) =>
      [
        rescheduleJobs,
        { jobs: [{ id, seq, delayMs: null, counted: true, error: '{}' }], leases: [] },
      ] as const,
  };

  it.each(Object.entries(settlements))(
    'has one winner: the %s that is under way',
    async (_name, settlement) => {
      const { jobs, settle, rescue, locker } = await raced();
      await locker.query('begin');
      const done = await settle(locker, settlement);
      const rescued = rescue(); // finds the job locked, and leaves it and its lease alone
      expect(await rescued).toEqual([]);
      await locker.query('commit');
      expect(done).toBe(1);
      expect(await rescue()).toEqual([]);
      expect((await jobs.all()).filter((job) => job.crash_count > 0)).toEqual([]);
    },
  );

  it.each(Object.entries(settlements))(
    'has one winner: the rescue, before the %s',
    async (_name, settlement) => {
      const { jobs, settle, rescue, locker, database } = await raced();
      const rescuer = await database.client();
      await rescuer.query('begin');
      expect(await rescue(rescuer)).toHaveLength(1);
      const late = settle(locker, settlement); // waits for the rescue
      await rescuer.query('commit');
      expect(await late).toBe(0);
      expect(await jobs.all()).toMatchObject([{ state: 'ready', run_count: 1, crash_count: 1 }]);
    },
  );

  /** A job whose worker is dead, and who wants to settle it. */
  const raced = async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail');
    const [row] = await database.query<{ seq: string }>(
      `insert into ${jobs.schema}.leases (worker_id, queue_name, priority, seqs, ids)
       select 0, 'mail', 0, array_agg(seq), array_agg(id) from ${jobs.schema}.jobs returning seqs[1] as seq`,
    );
    const locker = await database.client();
    const own = await database.client();
    const settle = async (client: typeof own, settlement: (typeof settlements)[keyof typeof settlements]) => {
      const [statement, args] = settlement(id, row!.seq);
      const rows: { id?: string; acked?: string[] | null }[] = await statementRunner(client, database.schema)(
        statement as never,
        args as never,
      );
      return rows.filter((each) => each.id !== undefined || each.acked === null).length;
    };
    const rescue = (client = own) =>
      statementRunner(client, database.schema)(rescueJobs, { limit: 10, maxCrashes: 3 });
    return { database, jobs, settle, rescue, locker };
  };
});
