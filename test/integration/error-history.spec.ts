import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type Job, reject, snooze } from '../../lib/engine/index.js';
import { testDatabase } from '../support/test-database.js';
import { leaseToDead } from './support/dead-lease.js';
import { type HandlerEntry, workingEngine } from './support/working-engine.js';
import { JobTable } from './support/job-table.js';

const setup = async (entry: HandlerEntry) => {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const { log, taskmaster } = await workingEngine(database, { mail: entry });
  const { admin } = taskmaster;
  return { admin, database, jobs, log };
};

describe('the history of errors', () => {
  it('tells of each attempt what it threw, when, and where it ran', async () => {
    const handle = (job: Job<never>) => {
      throw Object.assign(new TypeError(`number ${job.runCount}`), { code: 'E_TEST' });
    };
    const { admin, jobs, log } = await setup({ backoff: 1, maxAttempts: 3, handle });
    const before = new Date(Date.now() - 60_000);
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    const { errors, lastError } = (await admin.jobs.get(id))!;
    expect(errors.map(({ attempt, message }) => [attempt, message])).toEqual([
      [1, 'number 1'],
      [2, 'number 2'],
      [3, 'number 3'],
    ]);
    expect(errors[0]).toMatchObject({
      name: 'TypeError',
      code: 'E_TEST',
      stack: expect.stringContaining('error-history'),
      worker: `${hostname()}:${process.pid}`,
    });
    expect(errors[0]!.at > before && errors[2]!.at >= errors[0]!.at).toBe(true);
    expect(lastError).toMatchObject({ message: 'number 3' });
  });

  it('keeps the last ten', async () => {
    const handle = (job: Job<never>) => {
      throw new Error(`number ${job.runCount}`);
    };
    const { admin, jobs, log } = await setup({ backoff: 0, maxAttempts: 13, handle });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    const { errors } = (await admin.jobs.get(id))!;
    expect(errors.map((error) => error.attempt)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });

  it('cuts each to two kilobytes, causes included; the last error is kept as it is', async () => {
    const huge = 'x'.repeat(100_000);
    const handle = () => {
      const cause = Object.assign(new Error(huge), { name: huge, code: huge });
      throw Object.assign(new Error(huge, { cause }), { name: huge, code: huge, stack: huge });
    };
    const { admin, database, jobs, log } = await setup({ backoff: 0, maxAttempts: 12, handle });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    const [row] = await database.query(`select length(errors::text) as length from ${jobs.schema}.jobs`);
    expect(row!['length']).toBeLessThan(10 * 2_048);
    const { errors, lastError } = (await admin.jobs.get(id))!;
    expect(errors[9]!.cause!.message.length).toBe(300);
    expect(lastError!.message.length).toBeGreaterThan(5_000);
  });

  it('has nothing to tell of snoozes, of jobs handed back, and of attempts that were not made', async () => {
    let naps = 0;
    const handle = () => ((naps += 1) === 1 ? snooze(1) : reject('done'));
    const { admin, jobs, log } = await setup({ maxAttempts: 3, handle });
    const id = await jobs.insert('mail');
    const spent = await jobs.insert('mail', { run_count: 3 });
    await log.of('failed').count(2);
    expect((await admin.jobs.get(id))!.errors.map((error) => error.message)).toEqual(['done']);
    expect((await admin.jobs.get(spent))!.errors).toEqual([]);
  });

  it('tells of an error that a rule has made a snooze of', async () => {
    const handle = () => {
      if (log.of('snoozed').values.length === 0) throw new Error('busy');
      return reject('done');
    };
    const { admin, jobs, log } = await setup({ errors: [{ match: Error, snoozeMs: 1 }], handle });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    const { errors } = (await admin.jobs.get(id))!;
    expect(errors.map(({ attempt, message }) => [attempt, message])).toEqual([
      [1, 'busy'],
      [1, 'done'],
    ]);
  });

  it('tells of a worker that died, and of which', async () => {
    const database = await testDatabase();
    const id = await new JobTable(database).insert('mail');
    await leaseToDead(database, 'mail');
    const { log, taskmaster } = await workingEngine(database, { other: () => undefined });
    await log.of('rescued').count(1);
    const { errors } = (await taskmaster.admin.jobs.get(id))!;
    expect(errors).toMatchObject([{ attempt: 1, code: 'TM_WORKER_LOST', worker: 'grave:666' }]);
  });

  it('goes on when plain SQL requeues the job', async () => {
    const { admin, database, jobs, log } = await setup(() => reject('no'));
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    await database.query(`update ${jobs.schema}.jobs set run_count = 0`);
    await log.of('failed').count(2);
    const { errors, runCount } = (await admin.jobs.get(id))!;
    expect(errors.map((error) => error.attempt)).toEqual([1, 1]);
    expect(runCount).toBe(1);
  });

  it('begins anew where plain SQL has stored something else', async () => {
    const { admin, jobs, log } = await setup(() => reject('no'));
    const id = await jobs.insert('mail', { errors: '{"not": "a list"}' });
    await log.of('failed').count(1);
    expect((await admin.jobs.get(id))!.errors).toMatchObject([{ message: 'no' }]);
  });

  it('is a column of job_states', async () => {
    const { database, jobs, log } = await setup(() => reject('no'));
    await jobs.insert('mail');
    await log.of('failed').count(1);
    const [row] = await database.query(`select errors, expires_at from ${jobs.schema}.job_states`);
    expect(row).toMatchObject({ errors: [{ message: 'no', attempt: 1 }], expires_at: null });
  });
});
