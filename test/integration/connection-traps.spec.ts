import type pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cluster } from '../../lib/engine/connection/cluster.js';
import { targetsOf } from '../../lib/engine/connection/connection-target.js';
import { Session } from '../../lib/engine/connection/session.js';
import { EventHub } from '../../lib/engine/events.js';
import { serverCondition } from '../../lib/engine/sql/rescue-jobs.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import type { Taskmaster } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { nextEvent } from '../support/next-event.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

async function backendOf(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]!.pid;
}

const kill = (database: TestDatabase, pid: number) =>
  database.query('select pg_terminate_backend($1)', [pid]);

/** An error event that nobody listens to would end the process; the test run fails by it. */
describe('the end of a backend', () => {
  it('does no harm when its client is checked out: the next query fails', async () => {
    const database = await testDatabase();
    const { pool, publisher } = await openEngine(database);
    const client = await pool.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    await kill(database, await backendOf(client));
    await ended;
    await expect(client.query('select 1')).rejects.toThrow(/not queryable/);
    client.release();
    await expect(publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });

  it('does no harm when its client is idle: the pool makes another', async () => {
    const database = await testDatabase();
    const { pool, publisher } = await openEngine(database);
    const client = await pool.connect();
    const pid = await backendOf(client);
    client.release();
    await kill(database, pid);
    await eventually(() => pool.totalCount === 0);
    await expect(publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });

  it('does no harm when a transactional handler uses its client: the attempt failed', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    const stop = gate();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { transactional: true, backoff: 1, maxAttempts: 2 },
      handle: async (_payload, job) => {
        if (job.runCount > 1) return;
        await kill(database, await backendOf(job.tx!));
        await stop.pass();
      },
    });
    await taskmaster.start();
    const [retried, completed] = [
      nextEvent(taskmaster.events, 'retried'),
      nextEvent(taskmaster.events, 'completed'),
    ];
    await taskmaster.publisher.enqueue('mail');
    await stop.reached();
    stop.open();
    expect(await retried).toMatchObject({ runCount: 1 });
    expect(await completed).toMatchObject({ runCount: 2 });
  });
});

/** As a proxy or a virtual address does after a failover: connections that are there lead to what is a standby now. */
describe('connections of the pool that lead to a server that cannot write', () => {
  const READ_ONLY = { sqlState: '25006' };
  const setup = async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database, { consume: false });
    await taskmaster.publisher.enqueue('mail');
    const readOnly = (on: boolean) =>
      database.query(`alter database "${database.name}" set default_transaction_read_only = ${on}`);
    await readOnly(true); // for connections that begin from now on
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return { taskmaster, readOnly };
  };
  const writes: Readonly<Record<string, (taskmaster: Taskmaster) => Promise<unknown>>> = {
    'enqueue()': ({ publisher }) => publisher.enqueue('mail'),
    'withTransaction()': ({ publisher }) => publisher.withTransaction(() => publisher.enqueue('mail')),
    'admin.queues.pause()': ({ admin }) => admin.queues.pause('mail'),
  };

  it.each(Object.entries(writes))(
    'are given up by %s, and the next leads elsewhere',
    async (_name, write) => {
      const { taskmaster, readOnly } = await setup();
      await eventually(() => expect(write(taskmaster)).rejects.toMatchObject(READ_ONLY));
      await readOnly(false);
      await write(taskmaster);
    },
  );
});

describe('many statements that wait for a connection', () => {
  it('warn of no leak', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const session = new Session({
      cluster: new Cluster(targetsOf(connection), 1_000),
      tables: tablesOf(database.schema),
      preparedStatements: true,
      queryTimeoutMs: 1_000,
      events: new EventHub('test'),
    });
    onTestFinished(() => session.close());
    proxy.refuse();
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, () => session.run(serverCondition, { queues: [] })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 'rejected'));
    expect(warnings).toEqual([]);
  });
});

describe('close()', () => {
  it('does not wait for a client that is never given back', async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database);
    const client = await taskmaster.pool.connect();
    await taskmaster.close();
    expect(taskmaster.pool).toMatchObject({ ended: false, totalCount: 1 });
    client.release();
    await eventually(() => taskmaster.pool.ended);
  });

  it('waits for jobs that are on their way', async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database);
    const { publisher } = taskmaster;
    const jobs = [1, 2, 3].map((n) => publisher.enqueue('mail', n));
    await taskmaster.close();
    expect(await Promise.all(jobs)).toHaveLength(3);
    expect(await database.query(`select from "${database.schema}".jobs`)).toHaveLength(3);
  });

  it('does not wait for ever for an INSERT that does not come back', async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database);
    const holder = await database.client();
    await holder.query(`begin; lock table "${database.schema}".jobs in access exclusive mode`);
    const call = taskmaster.publisher.enqueue('mail').catch((error: { code: string }) => error.code);
    await eventually(async () => {
      const waiting = await database.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return waiting.length === 1;
    });
    await taskmaster.close();
    expect(await call).toBe('TM_ENQUEUE_OUTCOME_UNKNOWN');
    await holder.query('rollback');
  });

  it('may be called twice, at once, and before open()', async () => {
    const database = await testDatabase();
    const never = engine(database);
    await Promise.all([never.close(), never.close()]);
    const taskmaster = await openEngine(database);
    await Promise.all([taskmaster.close(), taskmaster.close()]);
    await taskmaster.close();
    await expect(taskmaster.open()).rejects.toMatchObject({ code: 'TM_CLOSED' });
    await expect(taskmaster.start()).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });
});
