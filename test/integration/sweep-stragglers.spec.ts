import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { claimJobs } from '../../lib/engine/sql/claim-jobs.js';
import { registerWorker } from '../../lib/engine/sql/lease-jobs.js';
import { openLanes, sweepJobs } from '../../lib/engine/sql/sweep-jobs.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from './support/audit.js';
import { JobTable } from './support/job-table.js';
import { statementRunner } from './support/statement-runner.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const FOUND_MS = 2_000;
const handlers = { mail: () => undefined };

/** A transaction that has inserted a job and not committed it. */
async function straggler(database: TestDatabase, jobs: JobTable) {
  const client = await database.client();
  await client.query('begin');
  const { rows } = await client.query<{ id: string }>(
    `insert into ${jobs.schema}.jobs (queue_name, payload) values ('mail', '{}') returning id`,
  );
  return { id: rows[0]!.id, commit: () => client.query('commit'), rollback: () => client.query('rollback') };
}

interface Lane {
  readonly head: string;
  readonly low: string;
}

async function laneOf(database: TestDatabase, jobs: JobTable): Promise<Lane> {
  const [lane] = await database.query<Lane>(`select head, low from ${jobs.schema}.lanes`);
  return lane!;
}

describe.each([
  ['with bells', {}],
  ['by polling alone', NO_BELLS],
])('a job that commits behind the head of its lane, %s', (_name, options) => {
  it('is found', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers, options);
    const late = await straggler(database, jobs);
    await jobs.insertMany('mail', 20); // these move the head beyond it
    await log.of('completed').count(20);
    await late.commit();
    const all = await log.of('completed').count(21, { timeoutMs: FOUND_MS });
    expect(all.at(-1)).toMatchObject({ jobId: late.id });
  });

  it('is found after its transaction was long, while others came and went', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers, options);
    const first = await straggler(database, jobs);
    const taken = await straggler(database, jobs);
    const last = await straggler(database, jobs);
    for (let n = 1; n <= 10; n += 1) {
      await jobs.insert('mail');
      await log.of('completed').count(n);
      if (n === 5) await taken.rollback();
    }
    await last.commit();
    await log.of('completed').count(11, { timeoutMs: FOUND_MS });
    await first.commit();
    const all = await log.of('completed').count(12, { timeoutMs: FOUND_MS });
    expect(all.slice(10).map((event) => event.jobId)).toEqual([last.id, first.id]);
  });
});

describe('a job that commits behind the head of its lane', () => {
  it('does not wait for the end of a backlog', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const ran = new SignalPoint<string>();
    const handle = async (job: { id: string }) => {
      ran.signal(job.id);
      await delay(10);
    };
    await workingEngine(database, { mail: { concurrency: 1, handle } });
    const late = await straggler(database, jobs);
    await jobs.insertMany('mail', 2_000); // 20 seconds of work
    await ran.count(5);
    await late.commit();
    await eventually(() => ran.values.includes(late.id));
  });
});

describe('the low mark of a lane', () => {
  it('follows the head when no older transaction is left', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers);
    await jobs.insertMany('mail', 20);
    await log.of('completed').count(20);
    await eventually(async () => {
      const { head, low } = await laneOf(database, jobs);
      return Number(head) >= 20 && low === head;
    });
  });

  it('stays below every job that an open transaction may still commit', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, handlers);
    const late = await straggler(database, jobs);
    const { commit } = late;
    const [drawn] = await database.query<{ last_value: string }>(
      `select last_value from ${jobs.schema}.jobs_seq`,
    );
    for (let n = 1; n <= 10; n += 1) {
      await jobs.insert('mail');
      await log.of('completed').count(n);
    }
    await delay(200); // a dozen sweeps
    expect(Number((await laneOf(database, jobs)).low)).toBeLessThan(Number(drawn!.last_value));
    await commit();
    await log.of('completed').count(11, { timeoutMs: FOUND_MS });
  });
});

describe('a job whose place was drawn before its transaction had an id', () => {
  const hidden = async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const engine = await workingEngine(database, handlers);
    const [drawn] = await database.query<{ seq: string }>(`select nextval('${jobs.schema}.jobs_seq') as seq`);
    await jobs.insertMany('mail', 5);
    await engine.log.of('completed').count(5);
    await eventually(async () => Number((await laneOf(database, jobs)).low) > Number(drawn!.seq));
    await engine.taskmaster.stop();
    const id = await jobs.insert('mail', { seq: drawn!.seq });
    return { database, jobs, id, ...engine };
  };

  it('is found by a deep sweep, and by nothing else', async () => {
    const { database, id } = await hidden();
    const run = statementRunner(await database.client(), database.schema);
    const [worker] = await run(registerWorker, { name: 'test', host: 'here', pid: 1, ttlMs: 60_000 });
    const args = { workerId: worker!.id, queues: ['mail'], limits: [10] };
    const found = (rows: { jobs: string | null }[]) =>
      rows.flatMap((row) => JSON.parse(row.jobs ?? '[]') as [string][]);
    expect(found(await run(claimJobs, args))).toEqual([]);
    expect(found(await run(sweepJobs, { ...args, deep: false }))).toEqual([]);
    expect(found(await run(sweepJobs, { ...args, deep: true })).map(([jobId]) => jobId)).toEqual([id]);
    expect(found(await run(sweepJobs, { ...args, deep: true }))).toEqual([]); // it is leased now
  });

  it('is found by a worker that starts', async () => {
    const { taskmaster, log, id } = await hidden();
    await taskmaster.start();
    const all = await log.of('completed').count(6, { timeoutMs: FOUND_MS });
    expect(all.at(-1)).toMatchObject({ jobId: id });
  });
});

describe('claims and sweeps at the same time', () => {
  it('hand out every token once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const run = statementRunner(await database.client(), database.schema);
    await run(openLanes, { queues: ['mail'] });
    const inserting = Promise.all(Array.from({ length: 4 }, () => insertInTransactions(database, jobs, 50)));
    const over = inserting.then(() => delay(300)).then(() => true as const);
    const taking = Array.from({ length: 4 }, (_, n) => take(database, n % 2 === 0, over));
    await over;
    const taken = (await Promise.all(taking)).flat();
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    expect(new Set(taken).size).toBe(taken.length);
    expect(taken.length).toBe((await audit.counts()).inserted);
  });
});

async function insertInTransactions(database: TestDatabase, jobs: JobTable, count: number): Promise<void> {
  const client = await database.client();
  for (let n = 0; n < count; n += 1) {
    await client.query('begin');
    await client.query(`insert into ${jobs.schema}.jobs (queue_name, payload) values ('mail', '{}')`);
    await delay(Math.random() * 5);
    await client.query(n % 5 === 0 ? 'rollback' : 'commit');
  }
}

/** One worker that claims, or sweeps deep, until nothing is left after the end. */
async function take(database: TestDatabase, sweeps: boolean, over: Promise<true>): Promise<string[]> {
  const run = statementRunner(await database.client(), database.schema);
  const [worker] = await run(registerWorker, { name: 'test', host: 'here', pid: 1, ttlMs: 60_000 });
  const args = { workerId: worker!.id, queues: ['mail'], limits: [3] };
  const tokens: string[] = [];
  for (;;) {
    const ended = await Promise.race([over, delay(1)]);
    const rows = sweeps ? await run(sweepJobs, { ...args, deep: true }) : await run(claimJobs, args);
    const found = rows.flatMap((row) => JSON.parse(row.jobs ?? '[]') as [string, string][]);
    tokens.push(...found.map(([, seq]) => seq));
    if (ended === true && found.length === 0) return tokens;
  }
}
