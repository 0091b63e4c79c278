import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const { proxy, connection } = await faultyProxy(database);
  const { publisher } = await openEngine(database, { connection });
  return { database, proxy, publisher, jobs: `"${database.schema}".jobs` };
};

/** The backend whose INSERT waits for a lock. */
async function waitingInserter(database: TestDatabase): Promise<number> {
  const waiting = `select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into%'`;
  return eventually(async () => {
    const [row] = await database.query<{ pid: number }>(waiting);
    expect(row).toBeDefined();
    return row!.pid;
  });
}

async function lockJobs(database: TestDatabase, jobs: string) {
  const holder = await database.client();
  await holder.query('begin');
  await holder.query(`lock table ${jobs} in access exclusive mode`);
  return { unlock: () => holder.query('rollback') };
}

describe('an enqueue() whose connection ends while its INSERT is under way', () => {
  it('says that the outcome is unknown', async () => {
    const { database, publisher, jobs } = await setup();
    const { unlock } = await lockJobs(database, jobs);
    const call = publisher.enqueue('mail', 1).catch((error: unknown) => error);
    await database.query('select pg_terminate_backend($1)', [await waitingInserter(database)]);
    expect(await call).toMatchObject({ code: 'TM_ENQUEUE_OUTCOME_UNKNOWN', queues: ['mail'] });
    await unlock();
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('takes no later call with it', async () => {
    const { database, publisher, jobs } = await setup();
    const { unlock } = await lockJobs(database, jobs);
    const first = publisher.enqueue('mail', 1).catch((error: { code: string }) => error.code);
    const inserter = await waitingInserter(database);
    const second = publisher.enqueue('mail', 2);
    await database.query('select pg_terminate_backend($1)', [inserter]);
    expect(await first).toBe('TM_ENQUEUE_OUTCOME_UNKNOWN');
    await unlock();
    await second;
    expect(await database.query(`select payload from ${jobs}`)).toEqual([{ payload: 2 }]);
  });

  it('says so for every call that shared the INSERT', async () => {
    const { database, publisher, jobs } = await setup();
    const { unlock } = await lockJobs(database, jobs);
    const calls = Promise.allSettled([publisher.enqueue('mail', 1), publisher.enqueue('sms', 2)]);
    await database.query('select pg_terminate_backend($1)', [await waitingInserter(database)]);
    const codes = (await calls).map((result) => result.status === 'rejected' && result.reason);
    expect(codes).toMatchObject(
      Array(2).fill({ code: 'TM_ENQUEUE_OUTCOME_UNKNOWN', queues: ['mail', 'sms'] }),
    );
    await unlock();
  });
});

describe('a lost reply', () => {
  it('of an INSERT that was committed is an unknown outcome', async () => {
    const { database, proxy, publisher, jobs } = await setup();
    await publisher.enqueue('mail', 0);
    const lost = proxy.dropReply({ to: /enqueue_jobs/ });
    await expect(publisher.enqueue('mail', 1)).rejects.toMatchObject({ code: 'TM_ENQUEUE_OUTCOME_UNKNOWN' });
    await lost;
    await eventually(async () => (await database.query(`select from ${jobs}`)).length === 2);
  });

  it('of the COMMIT of many jobs is an unknown outcome', async () => {
    const { database, proxy, publisher, jobs } = await setup();
    const lost = proxy.dropReply({ with: /COMMIT/ });
    const call = publisher.enqueueMany('mail', Array<number>(1_500).fill(1));
    await expect(call).rejects.toMatchObject({ code: 'TM_ENQUEUE_OUTCOME_UNKNOWN', queues: ['mail'] });
    await lost;
    expect(await database.query(`select from ${jobs}`)).toHaveLength(1_500);
  });

  it('of an INSERT before its COMMIT is a failure: nothing was stored', async () => {
    const { database, proxy, publisher, jobs } = await setup();
    const lost = proxy.dropReply({ with: /INSERT 0 500/ });
    const call = publisher.enqueueMany('mail', Array<number>(1_500).fill(1));
    await expect(call).rejects.toMatchObject({ code: 'TM_DATABASE' });
    await lost;
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });
});
