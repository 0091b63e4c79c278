import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { claimJobs } from '../../lib/engine/sql/claim-jobs.js';
import { registerWorker } from '../../lib/engine/sql/lease-jobs.js';
import { openLanes } from '../../lib/engine/sql/sweep-jobs.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { audited } from './support/audit.js';
import { JobTable } from './support/job-table.js';
import { statementRunner } from './support/statement-runner.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

describe('a claim', () => {
  it('takes each job once, whoever else claims', async () => {
    const database = await testDatabase();
    await new JobTable(database).insertMany('mail', 2_000);
    const claimed = (await Promise.all(Array.from({ length: 8 }, () => claimAll(database)))).flat();
    expect(claimed).toHaveLength(2_000);
    expect(new Set(claimed).size).toBe(2_000);
  });

  it('is of jobs with a handler here only', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const { log } = await workingEngine(database, { known: () => undefined });
    await database.query(`insert into ${jobs.schema}.lanes (queue_name, priority) values ('unknown', 0)`); // others serve it
    const unknown = await jobs.insert('unknown');
    await jobs.insert('known');
    await log.of('completed').count(1);
    expect(await jobs.of(unknown)).toMatchObject({ state: 'ready', run_count: 0 });
    expect(log.of('started').values.map((event) => event.queue)).toEqual(['known']);
    expect((await audit.counts()).handedOut).toBe(1);
  });

  it('is of queues that this process consumes only', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handlers = { mine: () => undefined, theirs: () => undefined };
    const { log } = await workingEngine(database, handlers, { consume: { except: ['theirs'] } });
    const left = await jobs.insert('theirs');
    await jobs.insert('mine');
    await log.of('completed').count(1);
    expect(await jobs.of(left)).toMatchObject({ state: 'ready' });
  });

  it('leaves paused queues alone until they are resumed', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(`insert into ${jobs.schema}.queues (name, paused_at) values ('paused', now())`);
    const { log } = await workingEngine(database, { paused: () => undefined, other: () => undefined });
    const waiting = await jobs.insert('paused');
    await jobs.insert('other');
    await log.of('completed').count(1);
    expect(await jobs.of(waiting)).toMatchObject({ state: 'ready' });

    await database.query(`update ${jobs.schema}.queues set paused_at = null`);
    await log.of('completed').count(2);
  });

  it('leaves a queue that is paused until a time alone until then', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(
      `insert into ${jobs.schema}.queues (name, paused_at, paused_until) values ('paused', now(), now() + interval '400 ms')`,
    );
    const { log } = await workingEngine(database, { paused: () => undefined }, NO_BELLS);
    await jobs.insert('paused');
    await log.of('completed').count(1);
    const [clock] = await database.query<{ over: boolean }>(
      `select now() > paused_until as over from ${jobs.schema}.queues`,
    );
    expect(clock).toEqual({ over: true });
  });

  it('never takes more than the free slots of slow handlers', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const { taskmaster } = await workingEngine(database, {
      slow: { concurrency: 3, handle: () => closed.pass() },
    });
    await jobs.insertMany('slow', 10);
    await closed.reached(3);
    const states = (await jobs.all()).map((job) => job.state);
    expect(states.filter((state) => state === 'running')).toHaveLength(3);
    expect(taskmaster.running).toBe(3);
    closed.open();
    await jobs.empty();
  });

  it('finds jobs of COPY and of plain SQL', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined });
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload) values ('mail', '{"to": "a"}')`,
    );
    await database.query(`select ${jobs.schema}.enqueue('mail', '{"to": "b"}')`);
    await log.of('completed').count(2);
  });
});

describe('polling alone', () => {
  it('finds jobs of other connections within a fraction of a second', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined }, NO_BELLS);
    await jobs.insert('mail');
    await log.of('completed').count(1, { timeoutMs: 1_000 });
  });
});

describe('priorities', () => {
  it('run smaller first', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    for (const priority of [5, 0, -3, 5, -3, 0]) await jobs.insert('mail', { priority });
    const order: number[] = [];
    const handle = (job: { priority: number }) => void order.push(job.priority);
    await workingEngine(database, { mail: { concurrency: 1, handle } });
    await jobs.empty();
    expect(order).toEqual([-3, -3, 0, 0, 5, 5]);
  });

  it('are found when they are new, by a bell', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined });
    await log.of('listenerRestored').count(1);
    await jobs.insert('mail', { priority: -7 });
    await log.of('completed').count(1, { timeoutMs: 1_000 });
  });

  it('are found when they are new, by polling alone', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined }, NO_BELLS);
    await jobs.insert('mail', { priority: -7 });
    await log.of('completed').count(1, { timeoutMs: 1_500 });
  });

  it('are found when they are new, also while there is more work than slots', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const urgent = new SignalPoint<string>();
    const handle = async (job: { id: string; priority: number }) => {
      if (job.priority < 0) urgent.signal(job.id);
      await delay(10);
    };
    const { taskmaster } = await workingEngine(database, { mail: { concurrency: 1, handle } });
    await jobs.insertMany('mail', 2_000); // 20 seconds of work
    await eventually(() => taskmaster.running === 1);
    const id = await jobs.insert('mail', { priority: -7 });
    expect(await urgent.count(1)).toEqual([id]);
  });
});

describe('a queue', () => {
  it('is not held up by the slow handlers of another', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const handlers = { stuck: { concurrency: 2, handle: () => closed.pass() }, quick: () => undefined };
    const { log } = await workingEngine(database, handlers);
    await jobs.insertMany('stuck', 20);
    await closed.reached(2);
    await jobs.insertMany('quick', 50);
    await log.of('completed').count(50, { timeoutMs: 2_000 });
    closed.open();
    await jobs.empty();
  });

  it('goes on behind a head that always fails', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: { id: string }) => {
      if (job.id === poison) throw new Error('always');
    };
    const poison = await jobs.insert('mail');
    await jobs.insertMany('mail', 50);
    const { log } = await workingEngine(database, {
      mail: { concurrency: 1, backoff: 10, maxAttempts: 1_000, handle },
    });
    await log.of('completed').count(50);
    expect(await jobs.of(poison)).toBeDefined();
  });
});

describe('two engines in one process', () => {
  it('share the work of one schema, each job run by one', async () => {
    const database = await testDatabase();
    const ran = new SignalPoint<string>();
    const handle = (job: { id: string }) => ran.signal(job.id);
    await workingEngine(database, { mail: handle }, { name: 'one' });
    await workingEngine(database, { mail: handle }, { name: 'two' });
    const ids = await new JobTable(database).insertMany('mail', 500);
    await new JobTable(database).empty();
    expect([...ran.values].toSorted()).toEqual(ids.toSorted());
  });

  it('do not mix their handlers, jobs and events', async () => {
    const [first, second] = [await testDatabase(), await testDatabase()];
    const ran: string[] = [];
    const one = await workingEngine(first, { mail: () => void ran.push('one') }, { name: 'one' });
    const two = await workingEngine(second, { mail: () => void ran.push('two') }, { name: 'two' });
    await one.taskmaster.publisher.enqueue('mail');
    await one.log.of('completed').count(1);
    await two.taskmaster.publisher.enqueue('mail');
    await two.log.of('completed').count(1);
    await one.taskmaster.stop();
    await two.taskmaster.publisher.enqueue('mail');
    await two.log.of('completed').count(2);
    expect(ran).toEqual(['one', 'two', 'two']);
    expect(new Set(one.log.all.map((event) => event.instance))).toEqual(new Set(['one']));
    expect(new Set(two.log.all.map((event) => event.instance))).toEqual(new Set(['two']));
  });
});

/** Claims until nothing is left, as one worker among others, and answers with the tokens. */
async function claimAll(database: TestDatabase): Promise<string[]> {
  const run = statementRunner(await database.client(), database.schema);
  const [worker] = await run(registerWorker, { name: 'test', host: 'here', pid: 1, ttlMs: 60_000 });
  await run(openLanes, { queues: ['mail'] });
  const tokens: string[] = [];
  for (;;) {
    const rows = await run(claimJobs, { workerId: worker!.id, queues: ['mail'], limits: [7] });
    const taken = rows.flatMap((row) => JSON.parse(row.jobs ?? '[]') as [string, string][]);
    tokens.push(...taken.map(([, seq]) => seq));
    if (taken.length === 0 && rows[0]!.skipped === 0) return tokens;
  }
}
