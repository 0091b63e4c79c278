import { describe, expect, it } from 'vitest';
import { reject, type Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const kept = (database: TestDatabase) =>
  database.query(
    `select id, state, run_count, result, progress, logs from "${database.schema}".finished_jobs order by id`,
  );

const answering = async () => {
  const database = await testDatabase();
  const closed = gate();
  const handlers = {
    double: (job: Job<number>) => job.payload * 2,
    nothing: () => undefined,
    bad: () => {
      throw reject('no');
    },
    slow: async (job: Job<number>) => {
      await closed.pass(job.signal);
      return 'slow';
    },
  };
  const { taskmaster } = await workingEngine(database, handlers);
  const { publisher } = await openEngine(database, { consume: false });
  return { database, closed, publisher, taskmaster, jobs: new JobTable(database) };
};

describe('call()', () => {
  it('answers with what the handler returned, in another process', async () => {
    const { publisher } = await answering();
    expect(await publisher.call('double', 21)).toBe(42);
    expect(await publisher.call('nothing')).toBeUndefined();
    expect(await Promise.all(Array.from({ length: 50 }, (_, n) => publisher.call('double', n)))).toEqual(
      Array.from({ length: 50 }, (_, n) => n * 2),
    );
  });

  it('rejects with the error of a job that failed', async () => {
    const { publisher } = await answering();
    await expect(publisher.call('bad')).rejects.toMatchObject({
      code: 'TM_JOB_FAILED',
      state: 'failed',
      error: { name: 'Reject', message: 'no' },
    });
  });

  it('gives up after a while, or when it is told to, and the job goes on', async () => {
    const { publisher, closed, jobs } = await answering();
    await expect(publisher.call('slow', 1, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'TM_RESULT_TIMEOUT',
    });
    const reason = new Error('told to');
    const controller = new AbortController();
    const call = publisher.call('slow', 1, { signal: controller.signal });
    await closed.reached(2);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    const [first] = await jobs.all();
    closed.open();
    expect(await publisher.result(first!.id)).toBe('slow');
  });

  it('rejects when the job is cancelled, and when the engine is closed', async () => {
    const { database, publisher, closed, jobs } = await answering();
    const call = publisher.call('slow');
    call.catch(() => undefined); // awaited below
    await closed.reached(1);
    await database.query(`select ${jobs.schema}.cancel(id) from ${jobs.schema}.jobs`);
    await expect(call).rejects.toMatchObject({ code: 'TM_JOB_FAILED', state: 'cancelled' });
    const other = await openEngine(database);
    const waiting = other.publisher.call('slow');
    waiting.catch(() => undefined); // awaited below
    await closed.reached(2);
    await other.close();
    await expect(waiting).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });

  it('is refused in a transaction, which it would wait for', async () => {
    const { publisher } = await answering();
    await expect(publisher.withTransaction(() => publisher.call('double', 1))).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });
});

describe('result()', () => {
  it('is there for jobs that asked for it at their enqueue, and says when it is not', async () => {
    const { publisher, taskmaster, jobs } = await answering();
    const asked = await publisher.enqueue('double', 4, { keepResult: true });
    const other = await taskmaster.publisher.enqueue('double', 5);
    await jobs.empty();
    expect(await publisher.result(asked.id)).toBe(8);
    await expect(publisher.result(other.id)).rejects.toMatchObject({ code: 'TM_RESULT_NOT_KEPT' });
    await expect(publisher.result('nonsense')).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('a queue that keeps its jobs', () => {
  it('keeps what they returned, and what they said while they ran', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: Job<never>) => {
      job.progress(50);
      job.log('half');
      job.progress({ percent: 100 });
      job.log('done\0');
      return { sent: true };
    };
    const { log, taskmaster } = await workingEngine(database, {
      mail: { retention: { completedMs: 60_000 }, handle },
    });
    const { id } = await taskmaster.publisher.enqueue('mail');
    await jobs.empty();
    expect(await kept(database)).toEqual([
      {
        id,
        state: 'completed',
        run_count: 1,
        result: { sent: true },
        progress: { percent: 100 },
        logs: ['half', 'done\ufffd'],
      },
    ]);
    expect(log.of('progress').values.map((event) => event.progress)).toEqual([50, { percent: 100 }]);
  });

  it('shows progress while they run, and the newest lines of their log', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    await workingEngine(database, {
      mail: async (job) => {
        for (let n = 0; n < 150; n += 1) job.log(`line ${n}`);
        job.progress(7);
        await closed.pass();
      },
    });
    const id = await jobs.insert('mail');
    await closed.reached(1);
    await expect
      .poll(() =>
        database.query(
          `select progress, jsonb_array_length(logs) as lines, logs ->> -1 as last from ${jobs.schema}.jobs`,
        ),
      )
      .toEqual([{ progress: 7, lines: 100, last: 'line 149' }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'running' });
    closed.open();
  });

  it('keeps what a transaction of the handler acked', async () => {
    const database = await testDatabase();
    const { taskmaster } = await workingEngine(database, {
      mail: { retention: { completedMs: Infinity }, transactional: true, handle: () => 'result' },
      own: {
        retention: { completedMs: Infinity },
        handle: (job) => job.transaction(async () => 'of the transaction'),
      },
    });
    await taskmaster.publisher.enqueueMany([{ queue: 'mail' }, { queue: 'own' }]);
    await new JobTable(database).empty();
    expect((await kept(database)).map((row) => row['result'])).toEqual(['result', 'of the transaction']);
  });

  it('forgets them a day at a time, and failed ones after their time', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const retention = { completedMs: 86_400_000, failedMs: 1_000 };
    const { taskmaster } = await workingEngine(database, { mail: { retention, handle: () => undefined } });
    await database.query(
      `insert into ${jobs.schema}.finished (id, queue_name, state, run_count, priority, created_at, expires_at, payload)
       values (1, 'mail', 'completed', 1, 0, now(), now() + interval '30 minutes', '{}')`,
    );
    const failed = await jobs.insert('mail', { run_at: 'infinity', failed_at: new Date(0), run_count: 1 });
    const [before] = await database.query<{ problem: unknown }>(
      `select ${jobs.schema}.prune(100) as problem`,
    );
    expect(before).toEqual({ problem: null });
    await taskmaster.publisher.enqueue('mail');
    await expect.poll(() => kept(database).then((rows) => rows.length)).toBe(2);
    expect(await jobs.of(failed)).toBeUndefined();
    const partitions = () =>
      database.query<{ name: string }>(
        `select c.relname as name from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
          where i.inhparent = '${jobs.schema}.finished'::regclass and c.relname <> 'finished_default' order by 1`,
      );
    expect(await partitions()).toHaveLength(2);
    // What its partition says is over goes with it.
    await database.query(
      `select ${jobs.schema}.make_partition(current_date - 3);
       insert into ${jobs.schema}.finished (id, queue_name, state, run_count, priority, created_at, expires_at, payload)
       values (2, 'mail', 'completed', 1, 0, now(), current_date - 3 + interval '1 hour', '{}')`,
    );
    expect(await partitions()).toHaveLength(3);
    await database.query(`select ${jobs.schema}.prune(100)`);
    expect(await partitions()).toHaveLength(2);
  });
});

describe('a flow', () => {
  it('runs children after their parents, with what those returned', async () => {
    const database = await testDatabase();
    const { taskmaster } = await workingEngine(database, {
      number: (job) => job.payload,
      sum: async (job) => {
        const parents = await job.parents();
        return parents.reduce((sum, parent) => sum + (parent.result as number), 0);
      },
    });
    const { publisher } = taskmaster;
    const jobs = await publisher.flow((flow) => {
      const [one, two, three] = [1, 2, 3].map((n) => flow.add('number', n));
      const first = flow.add('sum', undefined, { dependsOn: [one!, two!] });
      flow.add('sum', undefined, { dependsOn: [first, three!], keepResult: true });
    });
    expect(jobs).toHaveLength(5);
    expect(await publisher.result(jobs[4]!.id)).toBe(6);
    expect(await publisher.result(jobs[3]!.id)).toBe(3);
  });

  it('is stored as a whole or not at all', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const flow = publisher.flow((builder) => {
      const parent = builder.add('a', 1);
      builder.add('b', { no: () => 1 }, { dependsOn: [parent] });
    });
    await expect(flow).rejects.toMatchObject({ code: 'TM_INVALID_PAYLOAD' });
    const joined = publisher.withTransaction(async () => {
      await publisher.flow((builder) => void builder.add('a', 1));
      throw new Error('rolled back');
    });
    await expect(joined).rejects.toThrow('rolled back');
    expect(await new JobTable(database).all()).toEqual([]);
  });
});
