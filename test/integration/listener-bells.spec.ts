import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** Polls so rarely that only a bell can explain a job that starts at once. */
const RARE_POLLS = { listen: { pollIntervalMs: 60_000 } };
const AT_ONCE_MS = 2_000;

const handlers = { mail: () => undefined };

describe('a bell', () => {
  it('wakes an idle worker for jobs of plain SQL', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    await armed(database, ['mail']);
    await atRest(database);
    await jobs.insert('mail');
    await log.of('completed').count(1, { timeoutMs: AT_ONCE_MS });
  });

  it('is not rung for queues that nobody waits for', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const heard = await listen(database);
    await workingEngine(database, handlers, RARE_POLLS);
    await armed(database, ['mail']);
    await jobs.insert('other');
    await jobs.insert('mail');
    await eventually(() => heard.length > 0);
    expect(heard).toEqual(['mail']);
  });

  it('is not rung while workers are busy and poll', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const heard = await listen(database);
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    await armed(database, ['mail']);
    for (let n = 0; n < 100; n += 1) await jobs.insert('mail');
    await log.of('completed').count(100);
    expect(heard.length).toBeLessThan(50);
  });

  it('is rung once for a statement, however many jobs it inserts', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const heard = await listen(database);
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    await armed(database, ['mail']);
    await jobs.insertMany('mail', 1_000);
    await log.of('completed').count(1_000);
    expect(heard).toEqual(['mail']);
  });
});

describe('a listener whose connection is ended', () => {
  it('comes back, and bells ring again', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    await armed(database, ['mail']);
    await endListener(database);
    await log.of('listenerLost').count(1);
    await log.of('listenerRestored').count(2, { timeoutMs: 5_000 });
    await armed(database, ['mail']);
    await jobs.insert('mail');
    await log.of('completed').count(1, { timeoutMs: AT_ONCE_MS });
    expect(log.of('listenerLost').values).toHaveLength(1);
  });

  it('misses nothing that was inserted meanwhile', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    for (let n = 1; n <= 3; n += 1) {
      await armed(database, ['mail']);
      await endListener(database);
      await jobs.insert('mail');
      await log.of('completed').count(n, { timeoutMs: AT_ONCE_MS });
    }
  });
});

describe('a listener whose connection is ended again and again', () => {
  it('leaves nothing behind: no timer, and no warning of a leak', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const database = await testDatabase();
    const { log } = await workingEngine(database, handlers, RARE_POLLS);
    await log.of('listenerRestored').count(1);
    const before = timers();
    for (let times = 1; times <= 12; times += 1) {
      await endListener(database);
      await log.of('listenerRestored').count(times + 1);
    }
    await eventually(() => timers() <= before + 5);
    expect(warnings).toEqual([]);
  });
});

/** Timers of this process that are running. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

describe('a worker without a listener', () => {
  it('polls often, whatever its interval with one', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(database, handlers, { listen: { ...RARE_POLLS.listen, connection } });
    await armed(database, ['mail']);
    await atRest(database);
    proxy.refuse();
    await log.of('listenerLost').count(1);
    await delay(500); // past everything that the loss itself sets off
    await jobs.insert('mail');
    await log.of('completed').count(1, { timeoutMs: AT_ONCE_MS });
  });

  it('says so in its health', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { taskmaster, log } = await workingEngine(database, handlers, { listen: { connection } });
    await log.of('listenerRestored').count(1);
    expect(await taskmaster.health()).toMatchObject({ status: 'up', details: { listening: true } });
    proxy.refuse();
    await log.of('listenerLost').count(1);
    expect(await taskmaster.health()).toMatchObject({ status: 'degraded', details: { listening: false } });
  });
});

/** Resolves when somebody waits for bells of these queues. */
async function armed(database: TestDatabase, queues: readonly string[]): Promise<void> {
  await eventually(async () => {
    const rows = await database.query<{ waiting: number }>(
      `select count(*)::integer as waiting from unnest($1::text[]) as queue
        where exists (select from pg_locks where locktype = 'advisory' and granted
                         and classid = 1413830740 and objid::bigint = (hashtext(queue)::bigint & 4294967295)
                         and database = (select oid from pg_database where datname = current_database()))`,
      [queues],
    );
    return rows[0]!.waiting === queues.length;
  });
}

/**
 * Resolves just after an idle worker has looked for work, when it looks so rarely by now that its next look is some seconds
 * away: what starts before that was not found by polling. A look of an idle worker ends with a claim.
 */
async function atRest(database: TestDatabase): Promise<void> {
  let last = { look: '', at: performance.now() };
  await eventually(
    async () => {
      const rows = await database.query<{ look: string }>(
        `select query_start::text as look from pg_stat_activity
          where datname = current_database() and application_name = 'taskmaster' and query like 'with wanted as%'`,
      );
      const look = rows[0]?.look ?? last.look;
      if (look === last.look) return false;
      const waitedMs = performance.now() - last.at;
      last = { look, at: performance.now() };
      return waitedMs > AT_ONCE_MS;
    },
    { timeoutMs: 20_000 },
  );
}

/** What is said on the channel, from now on. */
async function listen(database: TestDatabase): Promise<string[]> {
  const heard: string[] = [];
  const client = await database.client();
  client.on('notification', (message) => heard.push(message.payload ?? ''));
  await client.query(`listen ${tablesOf(database.schema).channel}`);
  return heard;
}

async function endListener(database: TestDatabase): Promise<void> {
  const ended = await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'taskmaster' and (query like 'listen %' or query like '%advisory%shared%')`,
  );
  if (ended.length !== 1) throw new Error(`ended ${ended.length} listeners`);
}
