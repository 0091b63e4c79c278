import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Job, rateLimited } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from './support/audit.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

describe('a claim whose reply is lost', () => {
  it('is found and given back, and the lost attempt does not count', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(
      database,
      { mail: { maxAttempts: 1, handle: () => undefined } },
      { connection },
    );
    const lost = proxy.dropReply({ with: /canary/ });
    const id = await jobs.insert('mail', { payload: '{"bird": "canary"}' });
    await lost;
    expect(await jobs.of(id)).toMatchObject({ state: 'running' }); // on a worker that knows nothing of it
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    await jobs.empty();
    expect(log.of('started').values).toHaveLength(1);
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
  });

  it('is given back also when the worker is kept busy', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    let busy = true;
    const chain = async (): Promise<void> => {
      await delay(5);
      if (busy) await jobs.insert('busy');
    };
    await workingEngine(database, { mail: () => undefined, busy: chain }, { connection });
    await jobs.insert('busy');
    const lost = proxy.dropReply({ with: /canary/ });
    const id = await jobs.insert('mail', { payload: '{"bird": "canary"}' });
    await lost;
    await jobs.in(id, 'running');
    await gone(jobs, id);
    busy = false;
    await jobs.empty();
  });
});

describe('a settlement whose reply is lost', () => {
  it('of an ack counts, and the job runs once', async () => {
    const { database, jobs, closed, proxy, log, id } = await atGate(() => undefined);
    const lost = proxy.dropReply({ to: /ack_jobs|ack_and_claim_jobs/ });
    closed.open();
    await lost;
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    await jobs.empty();
    expect(log.of('started').values).toHaveLength(1);
    expect(log.of('leaseLost').values).toEqual([]);
    expect(await database.query(`select from ${jobs.schema}.leases`)).toEqual([]);
  });

  it('of a retry spends one attempt, not two', async () => {
    const { jobs, closed, proxy, log, id } = await atGate((job) => {
      if (job.runCount === 1) throw new Error('once');
    });
    const lost = proxy.dropReply({ to: /reschedule_jobs/ });
    closed.open();
    await lost;
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 2 }]);
    await jobs.empty();
    expect(log.of('started').values.map((event) => event.runCount)).toEqual([1, 2]);
    expect(log.of('retried').values).toHaveLength(1);
  });

  const atGate = async (ending: (job: Job<never>) => unknown) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const closed = gate();
    const handle = async (job: Job<never>) => {
      await closed.pass();
      return ending(job);
    };
    const engine = await workingEngine(database, { mail: { backoff: 10, handle } }, { connection });
    const id = await jobs.insert('mail');
    await closed.reached(1);
    return { database, jobs, proxy, closed, id, ...engine };
  };
});

describe('connections that are ended again and again while jobs run', () => {
  it('lose nothing, and ack nothing twice', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const handle = async (job: Job<never>) => {
      await delay(Math.random() * 10);
      if (Number(job.id) % 10 === 0 && job.runCount === 1) throw new Error('once');
    };
    const options = { mail: { backoff: 20, concurrency: 5, handle } };
    const engines = [1, 2, 3].map((n) => workingEngine(database, options, { name: `engine ${n}` }));
    const logs = (await Promise.all(engines)).map((engine) => engine.log);
    const ids = await jobs.insertMany('mail', 500);
    let kills = 0;
    const done = jobs.empty({ timeoutMs: 25_000 });
    const over = done.then(
      () => true,
      () => true,
    );
    while (kills < 60 && (await Promise.race([over, delay(100, false)])) === false) {
      kills += await endBackends(database);
    }
    await done;
    expect(kills).toBeGreaterThan(10);
    const completed = await eventually(() => {
      const all = logs.flatMap((log) => log.of('completed').values.map((event) => event.jobId));
      return all.length >= ids.length && all;
    });
    expect((completed as string[]).toSorted()).toEqual(ids.toSorted());
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    expect((await audit.counts()).acked).toBe(500);
  });

  it('are reported once for all, and again when they are back', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(database, { mail: () => undefined }, { connection });
    proxy.refuse();
    await log.of('databaseLost').count(1);
    await delay(1_500); // many attempts to come back
    proxy.pass();
    await log.of('databaseRestored').count(1);
    expect(log.of('databaseLost').values).toHaveLength(1);
    expect(log.of('engineError').values).toEqual([]);
    await new JobTable(database).insert('mail');
    await log.of('completed').count(1);
  });
});

describe('a connection that is forgotten before it is of use', () => {
  const CONNECTING = { connectTimeoutMs: 500 };

  it.each([
    ['while the session of the worker is set up', /plan_cache_mode/],
    ['while the listener begins to listen', /listen "?tm_/],
  ])('is given up after connectTimeoutMs, and made anew: %s', async (_when, request) => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(database, { mail: () => undefined }, { connection, ...CONNECTING });
    await log.of('listenerRestored').count(1);
    const forgotten = proxy.forgetAt(request);
    proxy.cut();
    await forgotten;
    await log.of('listenerRestored').count(2);
    await log.of('databaseRestored').count(1);
    await new JobTable(database).insert('mail');
    await log.of('completed').count(1);
  });

  it('does not hold up close(): while it migrates', async () => {
    const database = await testDatabase({ migrated: false });
    const { proxy, connection } = await faultyProxy(database);
    const taskmaster = engine(database, { connection });
    const forgotten = proxy.forgetAt(/pg_advisory_xact_lock/);
    const opened = taskmaster.open().catch((error: unknown) => error);
    await forgotten;
    await taskmaster.close();
    expect(await opened).toMatchObject({ code: 'TM_CLOSED' });
    await eventually(() => proxy.connections === 0);
  });
});

describe('a connection that breaks while jobs hold up their queue', () => {
  it('crashes nothing: they are settled when it is back', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const busy = gate();
    const { log } = await workingEngine(
      database,
      {
        mail: async () => {
          await busy.pass();
          return rateLimited({ retryAfterMs: 10 });
        },
      },
      { connection },
    );
    const lost = proxy.dropReply({ to: /hold_queues/ });
    await new JobTable(database).insert('mail');
    await busy.reached();
    busy.open();
    await lost;
    await log.of('snoozed').count(1); // an unhandled rejection would fail the run
  });
});

/** Ends every connection of the engines; how many it ended. */
async function endBackends(database: TestDatabase): Promise<number> {
  const rows = await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'taskmaster'`,
  );
  return rows.length;
}

async function gone(jobs: JobTable, id: string): Promise<void> {
  await eventually(async () => (await jobs.of(id)) === undefined);
}
