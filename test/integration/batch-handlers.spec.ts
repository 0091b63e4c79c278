import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ack,
  defineQueue,
  DuplicateHandlerError,
  InvalidBatchResultError,
  InvalidOptionsError,
  Job,
  rateLimited,
  reject,
  retry,
  snooze,
} from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { thrownBy } from '../support/thrown-by.js';
import { batchEngine, type BatchEntry } from './support/batch-engine.js';
import { EventLog } from './support/event-log.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** Long enough for a test to look at a job that waits for its retry. */
const LONG_MS = 60_000;

/** Jobs that are there when the engine starts, so that its first claim brings them all. */
async function waiting(count: number) {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  return { database, jobs, ids: await jobs.insertMany('mail', count) };
}

/** Results that are kept, by job. */
async function results(database: TestDatabase): Promise<Record<string, unknown>> {
  const rows = await database.query<{ id: string; result: unknown }>(
    `select id, result from "${database.schema}".finished_jobs`,
  );
  return Object.fromEntries(rows.map(({ id, result }) => [id, result]));
}

describe('a batch', () => {
  it('is a list of payloads and one of their jobs, which are acked when the handler returns nothing', async () => {
    const { database, jobs, ids } = await waiting(3);
    const seen: unknown[] = [];
    const handle = (payloads: { n: number }[], all: Job[]) => {
      seen.push(
        payloads,
        all.map((job) => job.payload),
        all.every((job) => job instanceof Job),
      );
    };
    const { batches, log } = await batchEngine(database, { size: 3, handle });
    await jobs.empty();
    const payloads = [{ n: 0 }, { n: 1 }, { n: 2 }];
    expect(seen).toEqual([payloads, payloads, true]);
    expect(batches.values).toEqual([ids]);
    await log.of('completed').count(3);
    expect(log.of('started').values).toMatchObject(ids.map((jobId) => ({ jobId, runCount: 1 })));
  });

  it('never has more jobs than `size`, and no more than `concurrency` batches run at once', async () => {
    const { database, jobs } = await waiting(45);
    let running = 0;
    let most = 0;
    const handle = async () => {
      most = Math.max(most, (running += 1));
      await eventually(() => running === 2 || jobs.all().then((all) => all.length <= 10));
      running -= 1;
    };
    const { batches } = await batchEngine(database, { size: 10, concurrency: 2, handle });
    await jobs.empty();
    expect(batches.values.map((batch) => batch.length)).toEqual([10, 10, 10, 10, 5]);
    expect(new Set(batches.values.flat()).size).toBe(45);
    expect(most).toBe(2);
  });

  it('may have one job', async () => {
    const { database, jobs, ids } = await waiting(3);
    const { batches } = await batchEngine(database, { size: 1 });
    await jobs.empty();
    expect(batches.values).toEqual(ids.map((id) => [id]));
  });

  it('runs at once when `size` jobs are there, and until then waits for them', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { batches, taskmaster } = await batchEngine(database, { size: 3, waitMs: LONG_MS });
    const first = await taskmaster.publisher.enqueue('mail');
    await jobs.in(first.id, 'running');
    const second = await taskmaster.publisher.enqueue('mail');
    await jobs.in(second.id, 'running');
    expect(batches.values).toEqual([]);
    const third = await jobs.insert('mail');
    expect(await batches.count(1)).toEqual([[first.id, second.id, third]]);
    await jobs.empty();
  });

  it('runs `waitMs` after its first job when it does not fill', async () => {
    const { database, jobs, ids } = await waiting(2);
    const startedAt = performance.now();
    const { batches } = await batchEngine(database, { size: 100, waitMs: 300 });
    expect(await batches.count(1)).toEqual([ids]);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300);
    await jobs.empty();
  });

  it('of jobs with several priorities has the more urgent first', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const later = await jobs.insert('mail', { priority: 5 });
    const sooner = await jobs.insert('mail', { priority: -5 });
    const { batches } = await batchEngine(database, { size: 10 });
    expect(await batches.count(1)).toEqual([[sooner, later]]);
  });
});

describe('what a handler of batches returns', () => {
  it('is the result, or the outcome, of each job', async () => {
    const { database, jobs, ids } = await waiting(8);
    const answers = () => [
      'done',
      ack('acked'),
      reject('bounced'),
      retry({ delayMs: LONG_MS }),
      snooze(LONG_MS),
      new TypeError('boom'),
      Promise.resolve('promised'),
      Promise.reject(new RangeError('broken promise')),
    ];
    const { log } = await batchEngine(database, {
      size: 8,
      backoff: LONG_MS,
      retention: { completedMs: LONG_MS },
      handle: answers,
    });
    await log.of('completed').count(3);
    await log.of('retried').count(3);
    expect(await results(database)).toEqual({
      [ids[0]!]: 'done',
      [ids[1]!]: 'acked',
      [ids[6]!]: 'promised',
    });
    expect(await jobs.all()).toMatchObject([
      { id: ids[2], state: 'failed', run_count: 1, last_error: { name: 'Reject', message: 'bounced' } },
      { id: ids[3], state: 'scheduled', run_count: 1 },
      { id: ids[4], state: 'scheduled', run_count: 0, last_error: null },
      { id: ids[5], state: 'scheduled', run_count: 1, last_error: { name: 'TypeError', message: 'boom' } },
      { id: ids[7], state: 'scheduled', run_count: 1, last_error: { message: 'broken promise' } },
    ]);
  });

  it('holds the queue back when one of them met a limit', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { batches } = await batchEngine(database, {
      size: 2,
      handle: (_payloads, all) =>
        all[0]?.runCount === 1 && batches.values.length === 1
          ? [undefined, rateLimited({ retryAfterMs: 300 })]
          : undefined,
    });
    await batches.count(1);
    const heldAt = performance.now();
    await jobs.in(ids[1]!, 'scheduled');
    const next = await jobs.insert('mail');
    const [, second] = await batches.count(2);
    expect(performance.now() - heldAt).toBeGreaterThan(250);
    expect([ids[1], next]).toContain(second![0]);
    await jobs.empty();
  });

  it.each([
    ['an array that is too short', () => [1]],
    ['an array that is too long', () => [1, 2, 3]],
    ['null', () => null],
    ['a value', () => ({ done: 2 })],
    ['too few promises, that reject', () => [Promise.reject(new Error('nobody waits for it'))]],
  ])('fails all of them when it is %s', async (_what, handle) => {
    const { database, jobs } = await waiting(2);
    const { log } = await batchEngine(database, { size: 2, backoff: LONG_MS, handle });
    await log.of('retried').count(2);
    expect(await jobs.all()).toMatchObject(
      [1, 2].map(() => ({
        state: 'scheduled',
        run_count: 1,
        last_error: { name: InvalidBatchResultError.name, code: 'TM_INVALID_BATCH_RESULT' },
      })),
    );
    expect(log.of('completed').values).toEqual([]);
  });

  it.each([
    ['returned', () => reject('no')],
    [
      'thrown',
      () => {
        throw reject('no');
      },
    ],
  ])('counts for all when it is one outcome, %s', async (_how, handle) => {
    const { database, jobs } = await waiting(2);
    const { log } = await batchEngine(database, { size: 2, handle });
    await log.of('failed').count(2);
    expect((await jobs.all()).map((job) => [job.state, job.last_error?.message])).toEqual([
      ['failed', 'no'],
      ['failed', 'no'],
    ]);
  });
});

describe('a handler of batches that throws', () => {
  it('fails all jobs, each by its own policy', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const taskmaster = engine(database);
    await taskmaster.open();
    const [once, soon, late] = await taskmaster.publisher.enqueueMany([
      { queue: 'mail', maxAttempts: 1 },
      { queue: 'mail', backoff: 10, maxAttempts: 2 },
      { queue: 'mail' },
    ]);
    const { log, batches } = await batchEngine(database, {
      size: 3,
      backoff: LONG_MS,
      handle: () => {
        throw new Error('boom');
      },
    });
    await log.of('failed').count(2);
    expect(batches.values.map((batch) => batch.length)).toEqual([3, 1]);
    expect(await jobs.all()).toMatchObject([
      { id: once!.id, state: 'failed', run_count: 1, last_error: { message: 'boom' } },
      { id: soon!.id, state: 'failed', run_count: 2, last_error: { message: 'boom' } },
      { id: late!.id, state: 'scheduled', run_count: 1, last_error: { message: 'boom' } },
    ]);
  });
});

describe('a job of a batch', () => {
  const checked = defineQueue('mail', { schema: z.object({ n: z.number().transform((n) => n * 10) }) });

  it('fails alone when its payload is invalid, and is left out', async () => {
    const { database, jobs, ids } = await waiting(3);
    await database.query(`update ${jobs.schema}.jobs set payload = '{"n": "one"}' where id = $1`, [ids[1]]);
    const taskmaster = engine(database);
    const log = new EventLog(taskmaster.events);
    const seen = new SignalPoint<readonly [unknown, readonly string[]]>();
    taskmaster.register({
      queue: checked,
      label: 'checked',
      batch: { size: 3 },
      handleBatch: (payloads, all) => seen.signal([payloads, all.map((job) => job.id)]),
      options: { maxAttempts: 1 },
    });
    await taskmaster.start();
    expect(await seen.count(1)).toEqual([
      [
        [{ n: 0 }, { n: 20 }],
        [ids[0], ids[2]],
      ],
    ]);
    await log.of('completed').count(2);
    expect(await jobs.all()).toMatchObject([
      { id: ids[1], state: 'failed', run_count: 1, last_error: { code: 'TM_INVALID_PAYLOAD' } },
    ]);
    expect(seen.values).toHaveLength(1);
  });

  it('is settled only if it is still its own', async () => {
    const { database, jobs, ids } = await waiting(3);
    const closed = gate();
    const { log } = await batchEngine(database, { size: 3, handle: () => closed.pass() });
    await closed.reached(1);
    await database.query(`delete from ${jobs.schema}.jobs where id = $1`, [ids[1]]);
    closed.open();
    expect(await log.of('leaseLost').count(1)).toMatchObject([{ jobId: ids[1] }]);
    await log.of('completed').count(2);
    await jobs.empty();
  });

  it('can be acked by a transaction of its own, whatever becomes of the others', async () => {
    const { database, jobs, ids } = await waiting(3);
    await database.query('create table effects (job_id bigint)');
    const { log } = await batchEngine(database, {
      size: 3,
      backoff: LONG_MS,
      handle: async (_payloads, all) => {
        await all[1]!.transaction((tx) => tx.query('insert into effects values ($1)', [all[1]!.id]));
        throw new Error('boom');
      },
    });
    await log.of('retried').count(2);
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: ids[1] }]);
    expect((await jobs.all()).map((job) => job.id)).toEqual([ids[0], ids[2]]);
    expect(await database.query('select job_id from effects')).toEqual([{ job_id: ids[1] }]);
  });

  it('is told alone that it is cancelled, and ends so unless it is acked', async () => {
    const { database, jobs, ids } = await waiting(3);
    const told = new SignalPoint<string>();
    const shared: boolean[] = [];
    const closed = gate();
    const { log } = await batchEngine(database, {
      size: 3,
      handle: async (_payloads, all) => {
        for (const job of all)
          job.signal.addEventListener('abort', () => told.signal(`${job.id} ${codeOf(job.signal)}`));
        await closed.pass();
        shared.push(all.signal.aborted);
        return all.map(({ signal }) => (signal.aborted ? (signal.reason as Error) : undefined));
      },
    });
    await closed.reached(1);
    const [row] = await database.query<{ told: string }>(`select ${jobs.schema}.cancel($1) as told`, [
      ids[1],
    ]);
    expect(row).toEqual({ told: 'aborting' });
    expect(await told.count(1)).toEqual([`${ids[1]} TM_CANCELLED`]);
    closed.open();
    expect(await log.of('cancelled').count(1)).toMatchObject([{ jobId: ids[1] }]);
    await log.of('completed').count(2);
    expect([told.values.length, shared]).toEqual([1, [false]]);
    await jobs.empty();
  });

  it('does not run when it is cancelled while its batch fills', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { batches, log } = await batchEngine(database, { size: 3, waitMs: LONG_MS });
    await jobs.in(ids[0]!, 'running');
    await database.query(`select ${jobs.schema}.cancel($1)`, [ids[0]]);
    expect(await log.of('cancelled').count(1)).toMatchObject([{ jobId: ids[0] }]);
    const others = await jobs.insertMany('mail', 2);
    expect(await batches.count(1)).toEqual([[ids[1], ...others]]);
    await jobs.empty();
  });

  const codeOf = ({ reason }: AbortSignal) => (reason as { code?: string }).code;
});

describe('limits and groups', () => {
  it('count the jobs of batches one by one', async () => {
    const { database, jobs } = await waiting(40);
    let running = 0;
    let most = 0;
    const handle = async (payloads: unknown[]) => {
      most = Math.max(most, (running += payloads.length));
      await new Promise((resolve) => setImmediate(resolve));
      running -= payloads.length;
    };
    const entry: BatchEntry = { size: 4, globalConcurrency: 6, handle };
    const engines = await Promise.all([batchEngine(database, entry), batchEngine(database, entry)]);
    await jobs.empty({ timeoutMs: 20_000 });
    expect(most).toBeLessThanOrEqual(6);
    expect(most).toBeGreaterThan(1);
    expect(engines.flatMap(({ batches }) => batches.values.flat())).toHaveLength(40);
  });

  it('let one job of a group into a batch, in the order of the group', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const taskmaster = engine(database);
    await taskmaster.open();
    for (const n of [1, 2, 3])
      await taskmaster.publisher.enqueueMany(
        ['a', 'b'].map((group) => ({ queue: 'mail', payload: n, group })),
      );
    const seen: string[][] = [];
    await batchEngine(database, {
      size: 10,
      handle: (payloads, all) => void seen.push(all.map((job, index) => `${job.group}${payloads[index]}`)),
    });
    await jobs.empty();
    for (const batch of seen) expect(new Set(batch.map(([group]) => group)).size).toBe(batch.length);
    for (const group of ['a', 'b'])
      expect(seen.flat().filter((run) => run.startsWith(group))).toEqual([1, 2, 3].map((n) => group + n));
  });
});

describe('batchMiddleware', () => {
  it('is wrapped around a batch, the first outermost, and decides its outcome; middleware is not', async () => {
    const { database, jobs, ids } = await waiting(2);
    const calls: string[] = [];
    const { log } = await batchEngine(
      database,
      { size: 2, handle: () => void calls.push('handler') },
      {
        middleware: [
          (_job, next) => {
            calls.push('middleware');
            return next();
          },
        ],
        batchMiddleware: [
          async (all, next) => {
            calls.push(`outer ${all.length}`);
            return (await next()) ?? [undefined, reject('by middleware')];
          },
          async (all, next) => {
            calls.push(`inner ${all.signal.aborted}`);
            return next();
          },
        ],
      },
    );
    await log.of('completed').count(1);
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: ids[1], cause: 'reject' }]);
    expect(calls).toEqual(['outer 2', 'inner false', 'handler']);
    expect(await jobs.all()).toHaveLength(1);
  });
});

describe('the registration of a handler of batches', () => {
  const register = async (registration: object) => {
    const taskmaster = engine(await testDatabase());
    const complete = {
      queue: 'mail',
      label: 'Mail.sendAll',
      batch: { size: 5 },
      handleBatch: () => undefined,
    };
    taskmaster.register({ ...complete, ...registration });
    return taskmaster;
  };
  const problemsOf = async (registration: object) => {
    const error = await register(registration).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error).toMatchObject({ subject: 'Mail.sendAll' });
    return (error as InvalidOptionsError).problems.join('\n');
  };

  it('shows in the list of handlers, with its defaults', async () => {
    const taskmaster = await register({ options: { concurrency: 2 } });
    taskmaster.register({ queue: 'other', label: 'Other', handle: () => undefined });
    expect(taskmaster.handlers).toEqual([
      { queue: 'mail', label: 'Mail.sendAll', concurrency: 2, batch: { size: 5, waitMs: 0 }, running: 0 },
      { queue: 'other', label: 'Other', concurrency: 10, batch: undefined, running: 0 },
    ]);
  });

  it.each([
    ['no size', { batch: {} }, /batch\.size: expected an integer from 1 to 10000, got undefined/],
    ['no batch', { batch: undefined }, /batch: expected an object/],
    ['a size of 0', { batch: { size: 0 } }, /batch\.size: expected an integer from 1/],
    ['a broken size', { batch: { size: 1.5 } }, /batch\.size/],
    [
      'a negative wait',
      { batch: { size: 1, waitMs: -1 } },
      /batch\.waitMs: expected an integer from 0 to 3600000/,
    ],
    ['an endless wait', { batch: { size: 1, waitMs: Infinity } }, /batch\.waitMs/],
    [
      'an unknown option',
      { batch: { size: 1, wait: 5 } },
      /batch\.wait: unknown option, did you mean "waitMs"/,
    ],
    ['an unknown option of its queue', { options: { size: 5 } }, /size: unknown option/],
    ['a bad option of its queue', { options: { concurrency: 0 } }, /concurrency: expected an integer/],
    [
      'a transaction',
      { options: { transactional: true } },
      /transactional: expected false or nothing, since/,
    ],
    ['no function', { handleBatch: undefined }, /handleBatch: expected a function/],
    ['a function for single jobs beside', { handle: () => undefined }, /handle: expected nothing beside/],
  ])('refuses %s', async (_what, registration, problem) => {
    expect(await problemsOf(registration)).toMatch(problem);
  });

  it('refuses a second handler of the queue', async () => {
    const taskmaster = await register({});
    const again = () => taskmaster.register({ queue: 'mail', label: 'Mail.send', handle: () => undefined });
    expect(thrownBy(again)).toBeInstanceOf(DuplicateHandlerError);
  });

  it('takes effect while the engine runs', async () => {
    const { database, jobs, ids } = await waiting(2);
    const { taskmaster } = await workingEngine(database, { other: () => undefined });
    const seen = new SignalPoint<number>();
    taskmaster.register({
      queue: 'mail',
      label: 'late',
      batch: { size: 5 },
      handleBatch: (payloads) => seen.signal(payloads.length),
    });
    expect(await seen.count(1)).toEqual([ids.length]);
    await jobs.empty();
  });
});
