import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { SignalPoint } from '../support/signal-point.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

/** Well above what a busy machine adds, and far below the sleep of a promoter that knows of nothing. */
const PROMPT_MS = 2_000;

/** A queue whose starts are noted, with how late they are by this machine's clock, which is the database's too. */
function noting() {
  const started = new SignalPoint<{ readonly id: string; readonly lateMs: number }>();
  const handle = (job: { id: string; runAt: Date }) =>
    started.signal({ id: job.id, lateMs: Date.now() - job.runAt.getTime() });
  return { started, handlers: { mail: handle } };
}

const inMs = (ms: number) => new Date(Date.now() + ms);

describe('a scheduled job', () => {
  it('never starts before its time, and soon after it', async () => {
    const database = await testDatabase();
    const { started, handlers } = noting();
    const { taskmaster } = await workingEngine(database, handlers);
    for (const delayMs of [150, 20, 300, 1]) await taskmaster.publisher.enqueue('mail', {}, { delayMs });
    await taskmaster.publisher.enqueue('mail', {}, { runAt: inMs(200) });
    for (const { lateMs } of await started.count(5)) {
      expect(lateMs).toBeGreaterThanOrEqual(-1); // the database counts in microseconds, Date in milliseconds
      expect(lateMs).toBeLessThan(PROMPT_MS);
    }
  });

  it('that comes from another connection is seen although a later one is waited for', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    const { log } = await workingEngine(database, handlers);
    await log.of('listenerRestored').count(1);
    await jobs.insert('mail', { run_at: inMs(60_000) });
    await delay(300); // by now the promoter sleeps until then
    const earlier = await jobs.insert('mail', { run_at: inMs(100) });
    expect(await started.count(1, { timeoutMs: PROMPT_MS })).toMatchObject([{ id: earlier }]);
  });

  it('is seen by polling alone', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    await workingEngine(database, handlers, NO_BELLS);
    await jobs.insert('mail', { run_at: inMs(60_000) });
    await delay(300);
    const earlier = await jobs.insert('mail', { run_at: inMs(100) });
    expect(await started.count(1, { timeoutMs: PROMPT_MS })).toMatchObject([{ id: earlier }]);
  });

  it('is seen although its transaction took a while to commit', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    const { log } = await workingEngine(database, handlers);
    await log.of('listenerRestored').count(1);
    await jobs.insert('mail', { run_at: inMs(60_000) });
    const other = await database.client();
    await other.query('begin');
    await other.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload, run_at) values ('mail', '{}', now() + interval '50 ms')`,
    );
    await delay(400);
    await other.query('commit');
    await started.count(1, { timeoutMs: PROMPT_MS });
  });

  it('is seen when it is one of many that come at once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    const { log } = await workingEngine(database, handlers);
    await log.of('listenerRestored').count(1);
    await jobs.insert('mail', { run_at: inMs(60_000) });
    await delay(300);
    for (let n = 0; n < 40; n += 1) await jobs.insert('mail', { run_at: inMs(60_000) }); // more bells than the promoter listens to
    await jobs.insert('mail', { run_at: inMs(50) });
    const [first] = await started.count(1, { timeoutMs: PROMPT_MS });
    expect(first!.lateMs).toBeLessThan(PROMPT_MS);
  });

  it('is seen while nothing can be listened to', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const { started, handlers } = noting();
    const { log } = await workingEngine(database, handlers, { listen: { connection } });
    await log.of('listenerRestored').count(1);
    await jobs.insert('mail', { run_at: inMs(60_000) });
    await delay(300);
    proxy.refuse();
    await log.of('listenerLost').count(1);
    await jobs.insert('mail', { run_at: inMs(100) });
    await started.count(1, { timeoutMs: PROMPT_MS });
  });

  it('leaves the others in their order of time', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const order: string[] = [];
    const late = await jobs.insert('mail', { run_at: inMs(-1_000) });
    const later = await jobs.insert('mail', { run_at: inMs(-500) });
    const earliest = await jobs.insert('mail', { run_at: inMs(-2_000) });
    await workingEngine(database, { mail: { concurrency: 1, handle: (job) => void order.push(job.id) } });
    await jobs.empty();
    expect(order).toEqual([earliest, late, later]);
  });

  it('starts together with a thousand others that are due at the same moment', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload, run_at)
       select 'mail', '{}', now() + interval '500 ms' from generate_series(1, 1000)`,
    );
    await workingEngine(database, handlers);
    const all = await started.count(1_000);
    expect(new Set(all.map((each) => each.id)).size).toBe(1_000);
    expect(Math.max(...all.map((each) => each.lateMs))).toBeLessThan(5_000);
  });

  it('is promoted once, whoever else promotes', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { started, handlers } = noting();
    for (let n = 0; n < 3; n += 1) await workingEngine(database, handlers);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload, run_at)
       select 'mail', '{}', now() + n * interval '2 ms' from generate_series(1, 200) as n`,
    );
    await jobs.empty();
    expect(started.values).toHaveLength(200);
  });
});

describe('a retry', () => {
  it('comes at its time, also when many attempts end at once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: { runCount: number }) => {
      if (job.runCount < 4) throw new Error('again');
    };
    const { log } = await workingEngine(database, { mail: { backoff: 60, handle } });
    await log.of('listenerRestored').count(1);
    await jobs.insertMany('mail', 100);
    await log.of('completed').count(100, { timeoutMs: 8_000 });
    const waits = log.of('started').values.filter((event) => event.runCount > 1);
    expect(waits).toHaveLength(300);
    expect(Math.max(...waits.map((event) => event.waitMs))).toBeLessThan(PROMPT_MS);
  });

  it('comes at its time when it is the only job there is', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: { runCount: number }) => {
      if (job.runCount < 6) throw new Error('again');
    };
    const { log } = await workingEngine(database, { mail: { backoff: [150, 1, 300, 1, 20], handle } });
    await log.of('listenerRestored').count(1);
    await delay(300); // the promoter sleeps
    await jobs.insert('mail');
    await log.of('completed').count(1, { timeoutMs: 6_000 });
  });
});
