import { describe, expect, it } from 'vitest';
import { defineQueue, type Job, reject } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { leaseToDead } from './support/dead-lease.js';
import { EventLog } from './support/event-log.js';
import { JobTable } from './support/job-table.js';
import { workerChild } from './support/worker-child.js';
import { idleEngine, SHORT_LEASE, workingEngine } from './support/working-engine.js';

const PAST = '2020-01-01T00:00:00Z';

/** The dead letters of a database, as they are stored. */
interface Letter {
  readonly queue_name: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly max_attempts: number | null;
  readonly meta: { readonly deadLetter: Record<string, unknown> } & Record<string, unknown>;
}

const lettersIn = (database: TestDatabase) =>
  database.query<Letter & Record<string, unknown>>(
    `select queue_name, payload, priority, max_attempts, meta from "${database.schema}".jobs where meta ? 'deadLetter' order by id`,
  );

/** A worker for the queue `mail`, whose dead letters go to `dead`, where nobody works. */
const setup = async (handle: (job: Job<never>) => unknown, maxAttempts = 2) => {
  const database = await testDatabase();
  const mail = { maxAttempts, backoff: 1, deadLetter: 'dead', handle };
  const { log, taskmaster } = await workingEngine(database, { mail });
  return { database, jobs: new JobTable(database), letters: () => lettersIn(database), log, taskmaster };
};

const fail = () => {
  throw new TypeError('no route');
};

describe('a job that fails for good', () => {
  it('leaves a copy in the dead-letter queue, which says where it comes from, and stays', async () => {
    const { jobs, letters, log } = await setup(fail);
    const id = await jobs.insert('mail', { payload: '{"to": "a@example.com"}' });
    await log.of('failed').count(1);
    expect(await letters()).toMatchObject([
      {
        queue_name: 'dead',
        payload: { to: 'a@example.com' },
        meta: {
          deadLetter: { queue: 'mail', id, attempts: 2, error: { name: 'TypeError', message: 'no route' } },
        },
      },
    ]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', run_count: 2 });
  });

  it('leaves one copy, at the end of its attempts and not before', async () => {
    const { jobs, letters, log } = await setup(fail, 3);
    await jobs.insert('mail');
    await log.of('retried').count(1);
    await log.of('failed').count(1);
    expect(log.of('retried').values).toHaveLength(2);
    expect(await letters()).toHaveLength(1);
  });

  it.each([
    ['is rejected', () => reject('bounced'), {}, { message: 'bounced' }, 1],
    [
      'has no attempt left',
      () => undefined,
      { run_count: 2, last_error: '{"message": "before"}' },
      { message: 'before' },
      2,
    ],
    ['has expired', () => undefined, { expires_at: PAST }, { code: 'TM_EXPIRED' }, 1],
  ])('because it %s leaves one too', async (_why, handle, columns, error, attempts) => {
    const { jobs, letters, log } = await setup(handle);
    const id = await jobs.insert('mail', columns);
    await log.of('failed').count(1);
    expect(await letters()).toMatchObject([{ meta: { deadLetter: { id, attempts, error } } }]);
  });

  it('leaves one when it may be attempted once', async () => {
    const { jobs, letters, log } = await setup(fail, 1);
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(await letters()).toMatchObject([{ meta: { deadLetter: { id, attempts: 1 } } }]);
  });

  it('leaves one when it expires in a queue that nobody works on any more', async () => {
    const { database, jobs, letters, taskmaster } = await setup(fail);
    await taskmaster.close();
    const { log } = await workingEngine(database, { other: () => undefined });
    const id = await jobs.insert('mail', { expires_at: PAST });
    await log.of('failed').count(1);
    expect(await letters()).toMatchObject([{ meta: { deadLetter: { id, error: { code: 'TM_EXPIRED' } } } }]);
  });

  it('leaves one when it is failed by who does not know the queue: at the rescue of a dead worker', async () => {
    const { database, jobs, letters, taskmaster } = await setup(fail);
    await taskmaster.close();
    const id = await jobs.insert('mail', { crash_count: 2, run_count: 2 });
    await leaseToDead(database, 'mail');
    const { log } = await workingEngine(database, { other: () => undefined });
    expect(await log.of('rescued').count(1)).toMatchObject([{ jobId: id, failed: true }]);
    expect(await letters()).toMatchObject([
      { queue_name: 'dead', meta: { deadLetter: { id, attempts: 3, error: { code: 'TM_WORKER_LOST' } } } },
    ]);
  });

  it('leaves one when it has killed its process often enough', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const options = { lease: { ...SHORT_LEASE, maxCrashes: 1 } } as const;
    const doomed = workerChild(database, { queue: 'mail' }, { ...options, defaults: { deadLetter: 'dead' } });
    await doomed.line(/^ready$/);
    const { log } = await workingEngine(database, { other: () => undefined }, options);
    const id = await jobs.insert('mail', { payload: '{"die": true}' });
    await log.of('rescued').count(1, { timeoutMs: 20_000 });
    expect(await lettersIn(database)).toMatchObject([
      { payload: { die: true }, meta: { deadLetter: { id, attempts: 1 } } },
    ]);
  });

  it('leaves one if and only if its failure is stored, whoever stores it', async () => {
    const { database, jobs, letters, taskmaster } = await setup(fail);
    await taskmaster.close();
    const id = await jobs.insert('mail');
    const failing = `update ${jobs.schema}.jobs set run_at = 'infinity', failed_at = now(), run_count = 1`;
    await database.query(`begin; ${failing}; rollback`);
    expect(await letters()).toEqual([]);
    await database.query(failing);
    expect(await letters()).toMatchObject([{ meta: { deadLetter: { id } } }]);
    await database.query(`update ${jobs.schema}.jobs set failed_at = now() where id = ${id}`);
    expect(await letters()).toHaveLength(1);
  });

  it('leaves another each time: requeued and failed again', async () => {
    const { database, jobs, letters, log } = await setup(() => reject('no'));
    await jobs.insert('mail');
    await log.of('failed').count(1);
    await database.query(`update ${jobs.schema}.jobs set run_count = 0 where queue_name = 'mail'`);
    await log.of('failed').count(2);
    expect(await letters()).toHaveLength(2);
  });

  it('leaves none when it is handed back by a worker that stops', async () => {
    const started = new SignalPoint();
    const { jobs, letters, taskmaster } = await setup((job) => {
      started.signal();
      return new Promise((_resolve, failed) =>
        job.signal.addEventListener('abort', () => failed(job.signal.reason as Error)),
      );
    }, 1);
    const id = await jobs.insert('mail');
    await started.count(1);
    taskmaster.forceStop();
    await taskmaster.close();
    expect(await jobs.of(id)).toMatchObject({ state: 'ready', run_count: 0 });
    expect(await letters()).toEqual([]);
  });

  it('leaves none where its queue names no dead-letter queue', async () => {
    const database = await testDatabase();
    const { log } = await workingEngine(database, { mail: () => reject('no') });
    await new JobTable(database).insert('mail');
    await log.of('failed').count(1);
    expect(await new JobTable(database).all()).toHaveLength(1);
    expect(await database.query(`select from "${database.schema}".queues`)).toEqual([]);
  });

  it('is stored as failed even where the queues say nonsense', async () => {
    const { database, jobs, letters, log } = await setup(() => reject('no'));
    const nonsense = ['""', `"${'x'.repeat(129)}"`, '5', 'null', '{}', '["dead"]'];
    for (const [index, name] of nonsense.entries()) {
      await database.query(
        `update ${jobs.schema}.queues set options = jsonb_build_object('deadLetter', $1::jsonb)`,
        [name],
      );
      await jobs.insert('mail', { meta: index % 2 === 0 ? '[1]' : '{"deadLetter": {"path": "x"}}' });
      await log.of('failed').count(index + 1);
    }
    const failed = (await jobs.all()).filter((job) => job.state === 'failed');
    expect(failed).toHaveLength(nonsense.length);
    expect((await letters()).filter((letter) => letter.queue_name === 'dead')).toEqual([]);
  });
});

describe('a dead letter', () => {
  it('is a job like any other: its handler knows what it is a copy of', async () => {
    const database = await testDatabase();
    const letters = new SignalPoint<Job<never>>();
    const { log, taskmaster } = await workingEngine(database, {
      mail: { maxAttempts: 1, deadLetter: 'dead', handle: fail },
      dead: (job) => letters.signal(job),
    });
    const before = Date.now();
    const { id } = await taskmaster.publisher.enqueue('mail', { to: 'a' });
    const [letter] = await letters.count(1);
    await log.of('completed').count(1);
    expect(letter!.deadLetter).toEqual({
      queue: 'mail',
      id,
      attempts: 1,
      error: expect.objectContaining({ name: 'TypeError', message: 'no route' }),
      failedAt: expect.any(Date),
    });
    expect(Math.abs(letter!.deadLetter!.failedAt.getTime() - before)).toBeLessThan(60_000);
    expect(letter!.payload).toEqual({ to: 'a' });
    expect(letter!.runCount).toBe(1);
  });

  it('is what other jobs are not', async () => {
    const database = await testDatabase();
    const jobs = new SignalPoint<Job<never>>();
    const { taskmaster } = await workingEngine(database, { mail: (job) => jobs.signal(job) });
    await taskmaster.publisher.enqueue('mail');
    expect((await jobs.count(1))[0]!.deadLetter).toBeUndefined();
  });

  it('has the tags, headers and priority of the job, and the attempts of its own queue', async () => {
    const { letters, log, taskmaster } = await setup(fail, 9);
    await taskmaster.publisher.enqueue(
      'mail',
      {},
      { priority: -3, maxAttempts: 1, timeoutMs: 5_000, backoff: 7, tags: ['a'], headers: { trace: 'b' } },
    );
    await log.of('failed').count(1);
    const [letter] = await letters();
    expect(letter).toMatchObject({
      priority: -3,
      max_attempts: null,
      meta: { tags: ['a'], headers: { trace: 'b' } },
    });
    expect(Object.keys(letter!.meta).toSorted()).toEqual(['deadLetter', 'headers', 'tags']);
  });

  it('has an error of bounded size', async () => {
    const { database, letters, log } = await setup(() => reject('x'.repeat(100_000)));
    await new JobTable(database).insert('mail');
    await log.of('failed').count(1);
    const [letter] = await letters();
    expect(JSON.stringify(letter!.meta.deadLetter['error']).length).toBeLessThan(2_048);
  });

  it('that fails goes on to the dead-letter queue of its own queue', async () => {
    const database = await testDatabase();
    const { log } = await workingEngine(database, {
      a: { deadLetter: 'b', handle: () => reject('a') },
      b: { deadLetter: 'c', handle: () => reject('b') },
    });
    const id = await new JobTable(database).insert('a');
    await log.of('failed').count(2);
    const letters = await lettersIn(database);
    expect(
      letters.map(({ queue_name, meta }) => [queue_name, meta.deadLetter['queue'], meta.deadLetter['path']]),
    ).toEqual([
      ['b', 'a', ['a']],
      ['c', 'b', ['a', 'b']],
    ]);
    expect(letters[0]!.meta.deadLetter['id']).toBe(id);
  });

  it('never comes back to a queue that it has been in', async () => {
    const database = await testDatabase();
    const { log } = await workingEngine(database, {
      a: { deadLetter: 'b', handle: () => reject('a') },
      b: { deadLetter: 'c', handle: () => reject('b') },
      c: { deadLetter: 'a', handle: () => reject('c') },
      sentinel: () => undefined,
    });
    const jobs = new JobTable(database);
    await jobs.insert('a');
    await log.of('failed').count(3);
    await jobs.insert('sentinel');
    await log.of('completed').count(1);
    expect((await jobs.all()).map(({ queue_name, state }) => [queue_name, state])).toEqual([
      ['a', 'failed'],
      ['b', 'failed'],
      ['c', 'failed'],
    ]);
  });
});

describe('deadLetter', () => {
  it('may name the definition of a queue', async () => {
    const database = await testDatabase();
    const dead = defineQueue('dead');
    const { log } = await workingEngine(database, { mail: { deadLetter: dead, handle: () => reject('no') } });
    await new JobTable(database).insert('mail');
    await log.of('failed').count(1);
    expect(await lettersIn(database)).toMatchObject([{ queue_name: 'dead' }]);
  });

  it('of the defaults is for every queue but the dead-letter queue itself, and those that say false', async () => {
    const database = await testDatabase();
    const handle = () => reject('no');
    const { log } = await workingEngine(
      database,
      {
        a: handle,
        b: handle,
        c: { deadLetter: false, handle },
        d: { deadLetter: 'other', handle },
        dead: handle,
      },
      { defaults: { deadLetter: 'dead' } },
    );
    const jobs = new JobTable(database);
    for (const queue of ['a', 'b', 'c', 'd']) await jobs.insert(queue);
    await log.of('failed').count(6); // and the letters of a and b
    const letters = await lettersIn(database);
    expect(
      letters.map(({ queue_name, meta }) => `${String(meta.deadLetter['queue'])} ${queue_name}`).toSorted(),
    ).toEqual(['a dead', 'b dead', 'd other']);
  });

  it('is what the worker that was started last says, while the other still works', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const old = await workingEngine(database, { mail: { deadLetter: 'old', handle: () => reject('no') } });
    const next = idleEngine(
      database,
      { mail: { deadLetter: 'new', handle: () => reject('no') } },
      { name: 'next' },
    );
    await next.taskmaster.start();
    await next.taskmaster.stop();
    await jobs.insert('mail');
    await old.log.of('failed').count(1);
    expect(await lettersIn(database)).toMatchObject([{ queue_name: 'new' }]);
  });

  it('counts for a handler that is registered while the engine works', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    const log = new EventLog(taskmaster.events);
    taskmaster.register({ queue: 'other', label: 'other', handle: () => undefined });
    await taskmaster.start();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { deadLetter: 'dead' },
      handle: () => reject('no'),
    });
    await new JobTable(database).insert('mail');
    await log.of('failed').count(1);
    expect(await lettersIn(database)).toHaveLength(1);
  });

  it('must be another queue', () => {
    const refusal = expect.objectContaining({
      code: 'TM_INVALID_OPTIONS',
      problems: ['deadLetter: expected another queue than "mail" itself, whose failed jobs it is to get'],
    });
    expect(() => defineQueue('mail', { deadLetter: 'mail' })).toThrow(refusal);
  });

  it.each([[{ deadLetter: 'mail' }], [{ deadLetter: { name: 'mail', options: {} } }]])(
    'of a handler must be another queue: %j',
    async (options) => {
      const taskmaster = engine(await testDatabase());
      const register = () =>
        taskmaster.register({ queue: 'mail', label: 'Mail.send', options, handle: () => undefined });
      expect(register).toThrow(
        'Invalid options for Mail.send:\n  - deadLetter: expected another queue than "mail"',
      );
    },
  );
});
