import { describe, expect, it } from 'vitest';
import { ack, reject, retry, snooze, type Job } from '../../lib/engine/index.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** Long enough for a test to look at a job that waits for its retry. */
const LONG_MS = 60_000;

describe('an ack', () => {
  it.each([
    ['undefined', () => undefined],
    ['a value', () => ({ sent: true })],
    ['ack()', () => ack()],
    ['ack(value)', () => ack({ sent: true })],
    ['a BigInt', () => 10n],
    ['a function', () => () => undefined],
    ['a symbol', () => Symbol('done')],
    ['an object that refers to itself', () => circular()],
    [
      'an object whose getter throws',
      () => Object.defineProperty({}, 'value', { enumerable: true, get: fail }),
    ],
    ['ten megabytes', () => 'x'.repeat(10_000_000)],
    ['a promise', () => Promise.resolve('done')],
    ['a thrown ack()', () => Promise.reject(ack())],
  ])('is a handler that returns %s', async (_name, handle) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    const [completed] = await log.of('completed').count(1);
    expect(completed).toMatchObject({ queue: 'mail', jobId: id, runCount: 1 });
    await jobs.empty();
  });

  it('of many jobs leaves nothing behind', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: () => undefined });
    const ids = await jobs.insertMany('mail', 2_000);
    await jobs.empty();
    await log.of('completed').count(2_000);
    const completed = log.of('completed').values.map((event) => event.jobId);
    expect(completed.toSorted()).toEqual(ids.toSorted());
  });
});

describe('a reject', () => {
  it.each([
    ['returned', () => reject('bounced')],
    [
      'thrown',
      () => {
        throw reject('bounced');
      },
    ],
  ])('that is %s ends the job, which stays with its reason', async (_name, handle) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, runCount: 1, cause: 'reject' }]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'failed',
      run_count: 1,
      last_error: { name: 'Reject', message: 'bounced' },
      locked_by: null,
    });
  });
});

describe('a throw', () => {
  it('is tried again after the backoff', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = () => {
      throw new TypeError('no route');
    };
    const { log } = await workingEngine(database, { mail: { backoff: LONG_MS, handle } });
    const id = await jobs.insert('mail');
    expect(await log.of('retried').count(1)).toMatchObject([{ jobId: id, runCount: 1, delayMs: LONG_MS }]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'scheduled',
      run_count: 1,
      last_error: {
        name: 'TypeError',
        message: 'no route',
        stack: expect.stringContaining('outcomes-settled'),
      },
    });
    const [wait] = await database.query<{ ms: number }>(
      `select extract(epoch from run_at - now()) * 1000 as ms from ${jobs.schema}.jobs`,
    );
    expect(Number(wait!.ms)).toBeGreaterThan(LONG_MS - 10_000);
    expect(Number(wait!.ms)).toBeLessThanOrEqual(LONG_MS);
  });

  it('gets the delays of the policy, one after another', async () => {
    const database = await testDatabase();
    const backoff = (attempt: number, error: unknown) => attempt * 10 + Number((error as Error).message);
    const handle = (job: Job<never>) => {
      if (job.runCount < 4) throw new Error('1');
    };
    const { log } = await workingEngine(database, { mail: { backoff, handle } });
    await new JobTable(database).insert('mail');
    await log.of('completed').count(1);
    expect(log.of('retried').values.map((event) => [event.runCount, event.delayMs])).toEqual([
      [1, 11],
      [2, 21],
      [3, 31],
    ]);
    expect(log.of('started').values.map((event) => event.runCount)).toEqual([1, 2, 3, 4]);
  });

  it('fails the job when no attempt is left', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = () => {
      throw new Error('never');
    };
    const { log } = await workingEngine(database, { mail: { backoff: 1, maxAttempts: 3, handle } });
    const id = await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, runCount: 3, cause: 'exhausted' }]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'failed',
      run_count: 3,
      last_error: { message: 'never' },
    });
    expect(log.of('retried').values).toHaveLength(2);
    expect(log.of('started').values).toHaveLength(3);
  });

  it('obeys the attempts and the backoff of its own job', async () => {
    const database = await testDatabase();
    const handle = () => {
      throw new Error('never');
    };
    const { taskmaster, log } = await workingEngine(database, { mail: { backoff: LONG_MS, handle } });
    await taskmaster.publisher.enqueue('mail', {}, { maxAttempts: 3, backoff: [5, 7] });
    await log.of('failed').count(1);
    expect(log.of('retried').values.map((event) => event.delayMs)).toEqual([5, 7]);
  });

  it('of retry() chooses the delay, and spends an attempt', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = () => retry({ delayMs: 3, reason: 'busy' });
    const { log } = await workingEngine(database, { mail: { backoff: LONG_MS, maxAttempts: 2, handle } });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(log.of('retried').values).toMatchObject([{ delayMs: 3, error: { message: 'busy' } }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', run_count: 2 });
  });

  it('with a broken backoff is tried again all the same', async () => {
    const database = await testDatabase();
    const backoff = () => {
      throw new Error('broken policy');
    };
    const handle = () => {
      throw new Error('broken handler');
    };
    const { log } = await workingEngine(database, { mail: { backoff, handle } });
    await new JobTable(database).insert('mail');
    const [retried] = await log.of('retried').count(1);
    expect(retried!.delayMs).toBeGreaterThanOrEqual(500);
    expect(retried!.error.message).toBe('broken handler');
  });
});

describe('a snooze', () => {
  it('runs the job again later without spending an attempt', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    let naps = 0;
    const handle = () => ((naps += 1) <= 3 ? snooze(5) : reject('awake'));
    const { log } = await workingEngine(database, { mail: { maxAttempts: 1, handle } });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(log.of('snoozed').values).toMatchObject([{ delayMs: 5 }, { delayMs: 5 }, { delayMs: 5 }]);
    expect(log.of('started').values.map((event) => event.runCount)).toEqual([1, 1, 1, 1]);
    expect(await jobs.of(id)).toMatchObject({ run_count: 1 });
  });

  it('of 0 milliseconds runs it again at once', async () => {
    const database = await testDatabase();
    let naps = 0;
    const { log } = await workingEngine(database, { mail: () => ((naps += 1) < 5 ? snooze(0) : undefined) });
    await new JobTable(database).insert('mail');
    await log.of('completed').count(1);
    expect(naps).toBe(5);
  });
});

describe('a failed job', () => {
  it('runs again when plain SQL sets its run_count to 0', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    let broken = true;
    const { log } = await workingEngine(database, { mail: () => (broken ? reject('not yet') : undefined) });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    broken = false;
    await database.query(`update ${jobs.schema}.jobs set run_count = 0 where id = $1`, [id]);
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    await jobs.empty();
  });

  it('stays when an attempt begins with none left', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const ran: string[] = [];
    const { log } = await workingEngine(database, {
      mail: { maxAttempts: 3, handle: (job) => void ran.push(job.id) },
    });
    const id = await jobs.insert('mail', {
      run_count: 3,
      last_error: JSON.stringify({ name: 'Error', message: 'kept' }),
    });
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, cause: 'exhausted' }]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'failed',
      run_count: 3,
      last_error: { message: 'kept' },
    });
    expect(ran).toEqual([]);
  });
});

function circular(): object {
  const value: { self?: object } = {};
  value.self = value;
  return value;
}

function fail(): never {
  throw new Error('not to be read');
}
