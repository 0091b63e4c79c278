import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  JobTransactionError,
  LeaseLostError,
  reject,
  snooze,
  type Job,
  type Taskmaster,
} from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** A database with a table of effects, one row for each time that a handler had its effect. */
async function effectsDatabase() {
  const database = await testDatabase();
  await database.query('create table known (n integer primary key)');
  await database.query('insert into known values (1)');
  await database.query(
    'create table effects (job_id bigint not null, n integer not null references known deferrable initially deferred)',
  );
  return { database, jobs: new JobTable(database) };
}

async function effects(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ job_id: string }>('select job_id from effects order by job_id');
  return rows.map((row) => row.job_id);
}

const act = (tx: pg.PoolClient, job: Job<never>, n = 1) =>
  tx.query('insert into effects (job_id, n) values ($1, $2)', [job.id, n]);

/** The two ways to a transaction that also acks. */
const WAYS = {
  'job.transaction()': (work: (job: Job<never>, tx: pg.PoolClient) => Promise<unknown>) => ({
    handle: (job: Job<never>) => job.transaction((tx) => work(job, tx)),
  }),
  'a transactional handler': (work: (job: Job<never>, tx: pg.PoolClient) => Promise<unknown>) => ({
    transactional: true,
    handle: (job: Job<never>) => work(job, job.tx!),
  }),
};

describe.each(Object.entries(WAYS))('%s', (_name, through) => {
  it('commits the writes and the ack together', async () => {
    const { database, jobs } = await effectsDatabase();
    const { log } = await workingEngine(database, { mail: through((job, tx) => act(tx, job)) });
    const ids = await jobs.insertMany('mail', 50);
    await jobs.empty();
    expect(await effects(database)).toEqual(ids);
    expect(await log.of('completed').count(50)).toMatchObject(ids.map(() => ({ runCount: 1 })));
  });

  it('rolls the writes back when the handler throws', async () => {
    const { database, jobs } = await effectsDatabase();
    const work = async (job: Job<never>, tx: pg.PoolClient) => {
      await act(tx, job);
      if (job.runCount < 3) throw new Error('after the write');
    };
    await workingEngine(database, { mail: { backoff: 1, ...through(work) } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
  });

  it('rolls the writes back when the COMMIT fails, and the ack with them', async () => {
    const { database, jobs } = await effectsDatabase();
    const work = (job: Job<never>, tx: pg.PoolClient) => act(tx, job, job.runCount === 1 ? 2 : 1); // 2 is refused at the end
    const { log } = await workingEngine(database, { mail: { backoff: 1, ...through(work) } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    expect(log.of('retried').values).toMatchObject([{ runCount: 1, error: { code: '23503' } }]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 2 }]);
  });

  it('rolls the writes back when its connection dies', async () => {
    const { database, jobs } = await effectsDatabase();
    const work = async (job: Job<never>, tx: pg.PoolClient) => {
      await act(tx, job);
      if (job.runCount === 1) await terminate(database, tx);
    };
    const { log } = await workingEngine(database, { mail: { backoff: 1, ...through(work) } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 2 }]);
  });

  it('rolls back when a failed statement was swallowed', async () => {
    const { database, jobs } = await effectsDatabase();
    const work = async (job: Job<never>, tx: pg.PoolClient) => {
      await act(tx, job);
      if (job.runCount === 1) await tx.query('select 1 / 0').catch(() => undefined);
    };
    const { log } = await workingEngine(database, { mail: { backoff: 1, ...through(work) } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    expect(log.of('retried').values).toHaveLength(1);
  });

  it('takes jobs that are enqueued inside with it', async () => {
    const { database, jobs } = await effectsDatabase();
    let publisher: Taskmaster['publisher'] | undefined = undefined;
    const work = async (job: Job<never>) => {
      await publisher!.enqueue('next', { of: job.runCount });
      await publisher!.enqueueMany('next', [{ of: job.runCount }]);
      if (job.runCount === 1) throw new Error('take it all back');
    };
    const payloads: unknown[] = [];
    const next = (job: Job<never>) => void payloads.push(job.payload);
    const { taskmaster } = await workingEngine(database, { mail: { backoff: 1, ...through(work) }, next });
    publisher = taskmaster.publisher;
    await jobs.insert('mail');
    await jobs.empty();
    expect(payloads).toEqual([{ of: 2 }, { of: 2 }]);
  });

  it('writes nothing for a job that belongs to others by then', async () => {
    const { database, jobs } = await effectsDatabase();
    const closed = gate();
    const errors = new SignalPoint<unknown>();
    const entered = async (job: Job<never>) => {
      await job.transaction((tx) => act(tx, job)).catch(errors.signal);
    };
    const handle = async (job: Job<never>) => {
      if (job.runCount > 1) return;
      await closed.pass();
      await entered(job);
    };
    const { log } = await workingEngine(database, { mail: { handle } });
    const id = await jobs.insert('mail');
    await closed.reached(1);
    await database.query(
      `update ${jobs.schema}.jobs set seq = nextval('${jobs.schema}.jobs_seq'), run_count = 1 where id = $1`,
      [id],
    );
    closed.open();
    expect(await errors.count(1)).toEqual([expect.any(LeaseLostError)]);
    await log.of('leaseLost').count(1);
    expect(await effects(database)).toEqual([]);
  });

  it('survives the death of its connection on a pool that was lent', async () => {
    const { database, jobs } = await effectsDatabase();
    const pool = new pg.Pool({ ...database.config, application_name: 'lent' });
    pool.on('error', () => undefined); // of idle connections, as pg asks for; those in use are the engine's to watch
    onTestFinished(() => pool.end());
    const work = async (job: Job<never>, tx: pg.PoolClient) => {
      await act(tx, job);
      if (job.runCount === 1) await terminate(database, tx);
    };
    await workingEngine(database, { mail: { backoff: 1, ...through(work) } }, { connection: { pool } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
  });

  it('works through a pool of one connection', async () => {
    const { database, jobs } = await effectsDatabase();
    const connection = { ...database.config, max: 1 };
    await workingEngine(
      database,
      { mail: { concurrency: 50, ...through((job, tx) => act(tx, job)) } },
      { connection },
    );
    const ids = await jobs.insertMany('mail', 100);
    await jobs.empty();
    expect(await effects(database)).toEqual(ids);
  });
});

describe('a transactional handler', () => {
  it('rolls back and settles the job on its own when it snoozes', async () => {
    const { database, jobs } = await effectsDatabase();
    let naps = 0;
    const handle = async (job: Job<never>) => {
      await act(job.tx!, job);
      return (naps += 1) === 1 ? snooze(5) : undefined;
    };
    const { log } = await workingEngine(database, { mail: { transactional: true, handle } });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    expect(log.of('snoozed').values).toHaveLength(1);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
  });

  it('rolls back and settles the job on its own when it rejects', async () => {
    const { database, jobs } = await effectsDatabase();
    const handle = async (job: Job<never>) => {
      await act(job.tx!, job);
      return reject('no');
    };
    const { log } = await workingEngine(database, { mail: { transactional: true, handle } });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(await effects(database)).toEqual([]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', run_count: 1, last_error: { message: 'no' } });
  });

  it('that hangs is cut off at its timeout, and its connection is not waited for', async () => {
    const { database, jobs } = await effectsDatabase();
    const closed = gate();
    const handle = async (job: Job<never>) => {
      await act(job.tx!, job);
      if (job.runCount === 1) await closed.pass();
    };
    const options = { transactional: true, concurrency: 1, timeoutMs: 200, backoff: 10, handle };
    const connection = { ...database.config, max: 1 };
    const { log } = await workingEngine(database, { mail: options }, { connection });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(log.of('retried').values).toMatchObject([{ error: { code: 'TM_JOB_TIMEOUT' } }]);
    expect(await effects(database)).toEqual([id]);
  });

  it('whose statement hangs is cut off as well', async () => {
    const { database, jobs } = await effectsDatabase();
    const handle = async (job: Job<never>) => {
      if (job.runCount === 1) await job.tx!.query('select pg_sleep(60)');
      await act(job.tx!, job);
    };
    const options = { transactional: true, timeoutMs: 200, backoff: 10, handle };
    await workingEngine(database, { mail: options });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
  });
});

describe('job.transaction()', () => {
  it('can be had once', async () => {
    const { database, jobs } = await effectsDatabase();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      await job.transaction((tx) => act(tx, job));
      await job.transaction((tx) => act(tx, job)).catch(errors.signal);
    };
    await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    expect(await errors.count(1)).toEqual([expect.any(JobTransactionError)]);
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
  });

  it('can be tried again after it was rolled back', async () => {
    const { database, jobs } = await effectsDatabase();
    const handle = async (job: Job<never>) => {
      await job.transaction((tx) => act(tx, job, 2)).catch(() => undefined);
      await job.transaction((tx) => act(tx, job));
    };
    const { log } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
  });

  it('decides: what the handler does after it no longer counts', async () => {
    const { database, jobs } = await effectsDatabase();
    const handle = async (job: Job<never>) => {
      await job.transaction((tx) => act(tx, job));
      throw new Error('too late');
    };
    const { log } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    await jobs.empty();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
    expect(log.of('retried').values).toEqual([]);
    expect(await effects(database)).toEqual([id]);
  });

  it('is refused after the attempt has ended', async () => {
    const { database, jobs } = await effectsDatabase();
    const closed = gate();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      await closed.pass();
      await job.transaction((tx) => act(tx, job)).catch(errors.signal);
    };
    const { log } = await workingEngine(database, { mail: { timeoutMs: 100, maxAttempts: 1, handle } });
    await jobs.insert('mail');
    await log.of('failed').count(1);
    closed.open();
    expect(await errors.count(1)).toEqual([expect.any(JobTransactionError)]);
    expect(await effects(database)).toEqual([]);
  });
});

describe('a job that is locked by its transaction', () => {
  /** The worker of the job is declared dead while the job's transaction is open; another engine looks for such jobs. */
  const declaredDead = async (ending: () => void) => {
    const { database, jobs } = await effectsDatabase();
    const closed = gate();
    const handle = async (job: Job<never>) => {
      await act(job.tx!, job);
      if (job.runCount > 1) return;
      await closed.pass();
      ending();
    };
    const first = await workingEngine(database, { mail: { transactional: true, handle } });
    const id = await jobs.insert('mail');
    await closed.reached(1);
    const second = await workingEngine(
      database,
      { mail: { transactional: true, handle } },
      { name: 'second' },
    );
    await database.query(
      `delete from ${jobs.schema}.workers where id = (select min(id) from ${jobs.schema}.workers)`,
    );
    await first.log.of('workerLost').count(1);
    await passes(database, jobs);
    expect(second.log.of('rescued').values).toEqual([]);
    closed.open();
    await jobs.empty();
    expect(await effects(database)).toEqual([id]);
    return { first, second };
  };

  it('is not rescued, and ends with its commit', async () => {
    const { second } = await declaredDead(() => undefined);
    expect(second.log.of('started').values).toEqual([]);
  });

  it('is rescued after its rollback', async () => {
    const rescued = declaredDead(() => {
      throw new Error('rolled back');
    });
    await expect(rescued).resolves.toBeDefined();
  });
});

/** Resolves after others have looked for dead workers: they found one that a test planted. */
async function passes(database: TestDatabase, jobs: JobTable): Promise<void> {
  for (let pass = 0; pass < 2; pass += 1) {
    await database.query(
      `insert into ${jobs.schema}.workers (name, expires_at) values ('planted', now() - interval '1 hour')`,
    );
    await eventually(async () => {
      const rows = await database.query(`select from ${jobs.schema}.workers where name = 'planted'`);
      return rows.length === 0;
    });
  }
}

async function terminate(database: TestDatabase, tx: pg.PoolClient): Promise<void> {
  const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
  const ended = new Promise((resolve) => tx.once('end', resolve));
  await database.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
  await ended;
}
