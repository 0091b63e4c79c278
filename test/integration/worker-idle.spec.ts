import { createHook } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** Long enough for a loop that spins to show, by thousands. */
const WATCHED_MS = 1_000;
/** So long after the last sign of work a worker looks for more all the time. */
const QUIET_MS = 250;

describe('a worker with nothing to do', () => {
  it('sleeps while all its slots are taken and more waits', async () => {
    const database = await testDatabase();
    const closed = gate();
    await workingEngine(database, { slow: { concurrency: 2, handle: () => closed.pass() } });
    await new JobTable(database).insertMany('slow', 5);
    await closed.reached(2);
    await delay(QUIET_MS);
    expect(await timersWithin(WATCHED_MS)).toBeLessThan(60);
  });

  it('sleeps while it drains', async () => {
    const database = await testDatabase();
    const closed = gate();
    const { taskmaster } = await workingEngine(
      database,
      { slow: { concurrency: 2, handle: () => closed.pass() } },
      { shutdown: { drainTimeoutMs: 10_000 } },
    );
    await new JobTable(database).insertMany('slow', 2);
    await closed.reached(2);
    const stopped = taskmaster.stop();
    await delay(QUIET_MS);
    expect(await timersWithin(WATCHED_MS)).toBeLessThan(60);
    closed.open();
    await stopped;
  });

  it('asks the database for little', async () => {
    const database = await testDatabase();
    const { log } = await workingEngine(
      database,
      { mail: () => undefined },
      { lease: { heartbeat: 'main' } },
    );
    await log.of('listenerRestored').count(1);
    await delay(2_000); // what a new worker looks for more often than an old one
    expect(await commitsWithin(database, 2_000)).toBeLessThan(40);
  });

  it('asks the database for little while a due job is locked by somebody else', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined });
    await log.of('listenerRestored').count(1);
    const id = await jobs.insert('mail', { run_at: new Date(Date.now() + 300) });
    const other = await database.client();
    await other.query(`begin; select from ${jobs.schema}.jobs where id = ${id} for update`);
    await delay(500); // until it is overdue
    expect(await commitsWithin(database, 1_000)).toBeLessThan(150);
    await other.query('rollback');
    await log.of('completed').count(1);
  });
});

/** How many timers this process sets. */
async function timersWithin(ms: number): Promise<number> {
  let count = 0;
  const hook = createHook({ init: (_id, type) => void (count += type === 'Timeout' ? 1 : 0) });
  hook.enable();
  await delay(ms);
  hook.disable();
  return count;
}

/** How many transactions a database commits; the server counts them with a delay, so twice over. */
async function commitsWithin(database: TestDatabase, ms: number): Promise<number> {
  const commits = async () => {
    await database.query('select pg_stat_force_next_flush()').catch(() => undefined);
    const [row] = await database.query<{ commits: string }>(
      'select xact_commit as commits from pg_stat_database where datname = current_database()',
    );
    return Number(row!.commits);
  };
  const before = await commits();
  await delay(ms);
  return (await commits()) - before;
}
