import { describe, expect, it } from 'vitest';
import {
  defineQueue,
  type HandlerOptions,
  type Job,
  reject,
  retry,
  type TaskmasterOptions,
} from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { leaseToDead } from './support/dead-lease.js';
import { EventLog } from './support/event-log.js';
import { JobTable } from './support/job-table.js';
import { idleEngine, workingEngine } from './support/working-engine.js';

/** Long enough for a test to look at a job that waits for its retry. */
const LONG_MS = 60_000;

class PaymentDeclined extends Error {}
class Busy extends Error {}

const throwing = (error: () => unknown) => () => {
  throw error();
};

/** A worker whose handler throws, with rules for errors. */
const setup = async (options: HandlerOptions, handle: (job: Job<never>) => unknown) => {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const { taskmaster, log } = await workingEngine(database, { mail: { backoff: 1, ...options, handle } });
  return { database, jobs, log, taskmaster };
};

describe('a rule for errors', () => {
  it('rejects: the job fails at its first attempt', async () => {
    const { jobs, log } = await setup(
      { errors: [{ match: PaymentDeclined, reject: true }] },
      throwing(() => new PaymentDeclined('no funds')),
    );
    const id = await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, runCount: 1, cause: 'reject' }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', last_error: { message: 'no funds' } });
    expect(log.of('started').values).toHaveLength(1);
  });

  it('retries by a backoff and attempts of its own; other errors go by those of the queue', async () => {
    const { jobs, log } = await setup(
      { maxAttempts: 5, errors: [{ match: 'EBUSY', backoff: [3, 4], maxAttempts: 3 }] },
      (job) => {
        throw Object.assign(new Error('x'), job.payload === 'busy' ? { code: 'EBUSY' } : {});
      },
    );
    const busy = await jobs.insert('mail', { payload: '"busy"' });
    const other = await jobs.insert('mail', { payload: '"other"' });
    await log.of('failed').count(2);
    const delays = (id: string) =>
      log
        .of('retried')
        .values.filter((event) => event.jobId === id)
        .map((event) => event.delayMs);
    expect(delays(busy)).toEqual([3, 4]);
    expect(delays(other)).toEqual([1, 1, 1, 1]);
  });

  it('may allow more attempts than the queue, of which the errors of other kinds have none', async () => {
    const errors = [{ match: Busy, maxAttempts: 4 }];
    const { jobs, log } = await setup({ maxAttempts: 1, errors }, (job) => {
      if (job.payload === 'busy' || job.runCount < 3) throw new Busy('busy');
      throw new Error('broken');
    });
    const busy = await jobs.insert('mail', { payload: '"busy"' });
    const broken = await jobs.insert('mail', { payload: '"broken"' });
    await log.of('failed').count(2);
    expect(await jobs.of(busy)).toMatchObject({ run_count: 4, last_error: { message: 'busy' } });
    expect(await jobs.of(broken)).toMatchObject({ run_count: 3, last_error: { message: 'broken' } });
  });

  it('never allows more attempts than the job was enqueued with', async () => {
    const { log, taskmaster } = await setup(
      { maxAttempts: 1, errors: [{ match: Busy, maxAttempts: 9 }] },
      throwing(() => new Busy('busy')),
    );
    await taskmaster.publisher.enqueue('mail', {}, { maxAttempts: 2 });
    expect(await log.of('failed').count(1)).toMatchObject([{ runCount: 2, cause: 'exhausted' }]);
  });

  it('wins over the backoff that the job was enqueued with', async () => {
    const { log, taskmaster } = await setup(
      { errors: [{ match: Busy, backoff: 2 }] },
      throwing(() => new Busy('busy')),
    );
    await taskmaster.publisher.enqueue('mail', {}, { maxAttempts: 2, backoff: LONG_MS });
    expect(await log.of('retried').count(1)).toMatchObject([{ delayMs: 2 }]);
  });

  it('snoozes: the job runs later, without having spent an attempt, and keeps the error', async () => {
    const { jobs, log } = await setup({ maxAttempts: 1, errors: [{ match: Busy, snoozeMs: 5 }] }, (job) => {
      if (log.of('snoozed').values.length < 3) throw new Busy(`busy ${job.runCount}`);
      return reject('at last');
    });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(log.of('snoozed').values).toMatchObject(
      Array(3).fill({ jobId: id, delayMs: 5, runCount: 1, error: { message: 'busy 1' } }),
    );
    expect(await jobs.of(id)).toMatchObject({ run_count: 1, last_error: { message: 'at last' } });
  });

  it('that matches first counts', async () => {
    const errors = [
      { match: (error: unknown) => (error as Error).message === 'x', backoff: 2 },
      { match: Error, reject: true },
    ] as const;
    const { jobs, log } = await setup(
      { maxAttempts: 2, errors },
      throwing(() => new Error('x')),
    );
    await jobs.insert('mail');
    expect(await log.of('retried').count(1)).toMatchObject([{ delayMs: 2 }]);
  });

  it('matches a timeout by its code', async () => {
    const { jobs, log } = await setup(
      { timeoutMs: 20, errors: [{ match: 'TM_JOB_TIMEOUT', reject: true }] },
      (job) => new Promise((resolve) => job.signal.addEventListener('abort', resolve)),
    );
    await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([
      { cause: 'reject', error: { code: 'TM_JOB_TIMEOUT' } },
    ]);
  });

  it('has no say where the handler has', async () => {
    const { jobs, log } = await setup({ errors: [{ match: Error, reject: true }] }, (job) => {
      if (job.runCount === 1) throw retry({ delayMs: 2, reason: new Error('soon') });
    });
    await jobs.insert('mail');
    await log.of('completed').count(1);
    expect(log.of('retried').values).toMatchObject([{ delayMs: 2 }]);
  });

  it('whose function throws is reported and passed over', async () => {
    const broken = new Error('broken matcher');
    const match = () => {
      throw broken;
    };
    const { jobs, log } = await setup(
      { maxAttempts: 1, errors: [{ match, backoff: 1, maxAttempts: 9 }] },
      throwing(() => new Error('x')),
    );
    await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([{ runCount: 1, error: { message: 'x' } }]);
    expect(log.of('engineError').values).toMatchObject([
      { operation: 'errors', queue: 'mail', error: broken },
    ]);
  });

  it('of a handler wins over those of the definition, and those over the defaults', async () => {
    const database = await testDatabase();
    const rule = (backoff: number) => ({ errors: [{ match: Error, backoff, maxAttempts: 2 }] });
    const taskmaster = engine(database, { defaults: rule(3) });
    const log = new EventLog(taskmaster.events);
    const handle = throwing(() => new Error('x'));
    const defined = defineQueue('defined', rule(2));
    taskmaster.register({ queue: defineQueue('handled', rule(2)), label: 'a', handle, options: rule(1) });
    taskmaster.register({ queue: defined, label: 'b', handle });
    taskmaster.register({ queue: 'default', label: 'c', handle });
    await taskmaster.start();
    for (const queue of ['handled', 'defined', 'default']) await taskmaster.publisher.enqueue(queue);
    await log.of('failed').count(3);
    const delays = Object.fromEntries(log.of('retried').values.map(({ queue, delayMs }) => [queue, delayMs]));
    expect(delays).toEqual({ handled: 1, defined: 2, default: 3 });
  });
});

describe('an attempt that is lost with its worker', () => {
  const RULES = { maxAttempts: 1, errors: [{ match: Busy, maxAttempts: 5 }] };

  it('is none of those that a rule allows beyond the queue: the job fails', async () => {
    const { database, jobs } = await deployed(RULES);
    const id = await jobs.insert('mail');
    await leaseToDead(database, 'mail');
    const { log } = await workingEngine(database, { other: () => undefined });
    expect(await log.of('rescued').count(1)).toMatchObject([{ jobId: id, failed: true, runCount: 1 }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', last_error: { code: 'TM_WORKER_LOST' } });
  });

  it('is one of those that the job was enqueued with', async () => {
    const { database, jobs } = await deployed(RULES);
    const id = await jobs.insert('mail', { max_attempts: 2 });
    await leaseToDead(database, 'mail');
    const { log } = await workingEngine(database, { other: () => undefined });
    expect(await log.of('rescued').count(1)).toMatchObject([{ jobId: id, failed: false }]);
  });

  /** A database that workers with these options have worked on; they are gone. */
  const deployed = async (options: HandlerOptions) => {
    const database = await testDatabase();
    const { taskmaster } = await workingEngine(database, { mail: { ...options, handle: () => undefined } });
    await taskmaster.close();
    return { database, jobs: new JobTable(database) };
  };
});

describe('the options of a queue in the database', () => {
  const optionsOf = async (database: TestDatabase) => {
    const rows = await database.query<{ name: string; options: object }>(
      `select name, options from "${database.schema}".queues order by name`,
    );
    return Object.fromEntries(rows.map(({ name, options }) => [name, options]));
  };
  const start = async (
    database: TestDatabase,
    options: HandlerOptions,
    more: Partial<TaskmasterOptions> = {},
  ) => {
    const { taskmaster } = idleEngine(database, { mail: { ...options, handle: () => undefined } }, more);
    await taskmaster.start();
    await taskmaster.close();
  };

  it('are not written where there is nothing that others must know', async () => {
    const database = await testDatabase();
    await start(database, { maxAttempts: 3, errors: [{ match: Busy, maxAttempts: 2 }] });
    expect(await optionsOf(database)).toEqual({});
  });

  it('are those of the worker that was started last', async () => {
    const database = await testDatabase();
    await start(database, { maxAttempts: 1, errors: [{ match: Busy, maxAttempts: 2 }], deadLetter: 'dead' });
    expect(await optionsOf(database)).toEqual({ mail: { maxAttempts: 1, deadLetter: 'dead' } });
    await database.query(`update "${database.schema}".queues set options = options || '{"theirs": 1}'`);
    await start(database, { deadLetter: 'other' });
    expect(await optionsOf(database)).toEqual({ mail: { deadLetter: 'other', theirs: 1 } });
    await start(database, {});
    expect(await optionsOf(database)).toEqual({ mail: { theirs: 1 } });
  });

  it('are not written again when nothing has changed', async () => {
    const database = await testDatabase();
    await start(database, { deadLetter: 'dead' });
    const version = () => database.query(`select xmin from "${database.schema}".queues`);
    const before = await version();
    await start(database, { deadLetter: 'dead' });
    expect(await version()).toEqual(before);
  });
});
