import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  InvalidOptionsError,
  InvalidStepResultError,
  JobStepError,
  LeaseLostError,
  reject,
  type Job,
} from '../../lib/engine/index.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { StepTable } from './support/step-table.js';
import { workingEngine } from './support/working-engine.js';

const setup = async () => {
  const database = await testDatabase();
  await database.query('create table effects (job_id bigint not null, what text not null)');
  return { database, jobs: new JobTable(database), steps: new StepTable(database) };
};

async function effects(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ what: string }>('select what from effects order by what');
  return rows.map((row) => row.what);
}

describe('job.step()', () => {
  it('is done once, and later attempts get its result', async () => {
    const { database, jobs } = await setup();
    const done: string[] = [];
    const seen: string[] = [];
    const handle = async (job: Job<never>) => {
      seen.push(await job.step('draw', () => done[done.push(randomUUID()) - 1]!));
      if (job.runCount < 3) throw new Error('after the step');
    };
    const { log } = await workingEngine(database, { mail: { backoff: 0, handle } });
    await jobs.insert('mail');
    await jobs.empty();
    expect(done).toHaveLength(1);
    expect(seen).toEqual([done[0], done[0], done[0]]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 3 }]);
  });

  it('gives what JSON makes of a result, the first time as well', async () => {
    const { database, jobs } = await setup();
    const seen: unknown[] = [];
    class Money {
      constructor(
        readonly cents: number,
        readonly note: string | undefined,
      ) {}
    }
    const handle = async (job: Job<never>) => {
      seen.push([
        await job.step('date', () => ({ at: new Date(0) })),
        await job.step('nothing', () => undefined),
        await job.step('null', () => null),
        await job.step('list', async () => [1, 'ä€😀"\\', { a: [] }]),
        await job.step('instance', () => new Money(5, undefined)),
      ]);
      if (job.runCount === 1) throw new Error('again');
    };
    await workingEngine(database, { mail: { backoff: 0, handle } });
    await jobs.insert('mail');
    await jobs.empty();
    const stored = [
      { at: '1970-01-01T00:00:00.000Z' },
      undefined,
      null,
      [1, 'ä€😀"\\', { a: [] }],
      { cents: 5 },
    ];
    expect(seen).toEqual([stored, stored]);
  });

  it('gives everybody a value of their own', async () => {
    const { database, jobs } = await setup();
    const seen: unknown[] = [];
    const handle = async (job: Job<never>) => {
      const first = await job.step('list', () => [1]);
      first.push(2);
      seen.push(await job.step('list', () => [3]));
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await jobs.empty();
    expect(seen).toEqual([[1]]);
  });

  it('is done once in an attempt, whoever calls again while it is under way', async () => {
    const { database, jobs } = await setup();
    let done = 0;
    const seen: unknown[] = [];
    const handle = async (job: Job<never>) => {
      const call = () => job.step('count', async () => (done += 1));
      seen.push(await Promise.all([call(), call()]), await call());
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await jobs.empty();
    expect(seen).toEqual([[1, 1], 1]);
  });

  it('is done again when it has thrown, in the same attempt and in the next', async () => {
    const { database, jobs, steps } = await setup();
    let done = 0;
    const handle = async (job: Job<never>) => {
      const fails = () =>
        job.step('fails', () => {
          done += 1;
          if (done < 4) throw new Error(`no. ${done}`);
          return done;
        });
      if (job.runCount === 1) await assert.rejects(fails(), { message: 'no. 1' });
      expect(await steps.all()).toEqual([]);
      await fails();
    };
    const { log } = await workingEngine(database, { mail: { backoff: 0, handle } });
    await jobs.insert('mail');
    await jobs.empty();
    expect(done).toBe(4);
    expect(log.of('retried').values.map((event) => event.error.message)).toEqual(['no. 2', 'no. 3']);
  });

  it('takes any text as its name', async () => {
    const { database, jobs, steps } = await setup();
    const names = [`'); drop table jobs; --`, '__proto__', '😀 "quoted" \\', 'x'.repeat(256), 'sleep:1:'];
    const handle = async (job: Job<never>) => {
      for (const name of names) expect(await job.step(name, () => name)).toBe(name);
      if (job.runCount === 2) return reject('to look at the table');
      throw new Error('again');
    };
    const { log } = await workingEngine(database, { mail: { backoff: 0, handle } });
    await jobs.insert('mail');
    expect(await log.of('failed').count(1)).toMatchObject([{ error: { message: 'to look at the table' } }]);
    expect((await steps.all()).map(({ name, result }) => [name, result])).toEqual(
      expect.arrayContaining(names.map((name) => [name, name])),
    );
  });

  it('refuses what cannot be its name, its work or its options', async () => {
    const { database, jobs, steps } = await setup();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      const refused = [
        job.step('', () => 1),
        job.step('x'.repeat(257), () => 1),
        job.step('a\0b', () => 1),
        job.step(5 as never, () => 1),
        job.step('a', undefined as never),
        job.step('a', { transaction: true } as never, () => 1),
      ];
      for (const each of refused) await each.catch(errors.signal);
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    expect(await errors.count(6)).toEqual(Array.from({ length: 6 }, () => expect.any(InvalidOptionsError)));
    expect(errors.values.at(-1)).toMatchObject({
      problems: ['options.transaction: unknown option, did you mean "transactional"?'],
    });
    await jobs.empty();
    expect(await steps.all()).toEqual([]);
  });

  it('refuses a result that JSON cannot say, and says where', async () => {
    const { database, jobs, steps } = await setup();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      await job.step('bigint', () => ({ rows: [{ id: 1n }] })).catch(errors.signal);
      await job.step('large', () => 'x'.repeat(2_000)).catch(errors.signal);
    };
    await workingEngine(database, { mail: handle }, { maxPayloadBytes: 1_000 });
    const id = await jobs.insert('mail');
    expect(await errors.count(2)).toEqual([
      expect.objectContaining({
        code: 'TM_INVALID_STEP_RESULT',
        jobId: id,
        step: 'bigint',
        path: 'result.rows[0].id',
      }),
      expect.any(InvalidStepResultError),
    ]);
    await jobs.empty();
    expect(await steps.all()).toEqual([]);
  });

  it('is refused inside a step, in a transaction that acks, and after the attempt', async () => {
    const { database, jobs } = await setup();
    const errors = new SignalPoint<unknown>();
    const closed = gate();
    const nested = async (job: Job<never>) => {
      await job.step('outer', () => job.step('inner', () => 1)).catch(errors.signal);
      await job.step('other', () => 2);
    };
    const acking = (job: Job<never>) => job.transaction(() => job.step('a', () => 1).catch(errors.signal));
    const transactional = (job: Job<never>) => job.step('a', () => 1).catch(errors.signal);
    const late = async (job: Job<never>) => {
      await closed.pass();
      await job.step('a', () => 1).catch(errors.signal);
    };
    const { log } = await workingEngine(database, {
      nested,
      acking,
      transactional: { transactional: true, handle: transactional },
      late: { timeoutMs: 100, maxAttempts: 1, handle: late },
    });
    for (const queue of ['nested', 'acking', 'transactional']) await jobs.insert(queue);
    await jobs.empty();
    await jobs.insert('late');
    await log.of('failed').count(1);
    closed.open();
    await errors.count(4);
    expect(errors.values.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => expect.any(JobStepError)));
    expect(errors.values[3]).toMatchObject({ code: 'TM_JOB_TIMEOUT' });
  });

  it('begins nothing once the handler was told to end', async () => {
    const { database, jobs } = await setup();
    const closed = gate();
    const errors = new SignalPoint<unknown>();
    let done = 0;
    const handle = async (job: Job<never>) => {
      await closed.pass(job.signal).catch(() => undefined);
      await job.step('late', () => (done += 1)).catch(errors.signal);
    };
    const { taskmaster } = await workingEngine(
      database,
      { mail: handle },
      { shutdown: { drainTimeoutMs: 0 } },
    );
    await jobs.insert('mail');
    await closed.reached(1);
    await taskmaster.stop();
    expect(await errors.count(1)).toMatchObject([{ code: 'TM_SHUTDOWN' }]);
    expect(done).toBe(0);
  });

  it('writes nothing for a job that belongs to others by then', async () => {
    const { database, jobs, steps } = await setup();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      if (job.runCount > 1) return;
      await job.step('plain', () => steps.takeOver(job.id)).catch(errors.signal);
      await job
        .step('transactional', { transactional: true }, (tx) =>
          tx.query(`insert into effects values ($1, 'zombie')`, [job.id]).then(() => 1),
        )
        .catch(errors.signal);
    };
    const { log } = await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    expect(await errors.count(2)).toEqual([expect.any(LeaseLostError), expect.any(LeaseLostError)]);
    await log.of('leaseLost').count(1);
    expect(await steps.all()).toEqual([]);
    expect(await effects(database)).toEqual([]);
  });

  it('is remembered although the connection breaks before the database answers, and when it refuses for a while', async () => {
    const { database, jobs } = await setup();
    const { proxy, connection } = await faultyProxy(database);
    let done = 0;
    const handle = async (job: Job<never>) => {
      expect(
        await job.step('first', async () => {
          void proxy.dropReply({ to: /insert into "\w+"\.steps/ });
          return (done += 1);
        }),
      ).toBe(1);
      await job.step('second', () => {
        proxy.refuse();
        setTimeout(() => proxy.pass(), 150);
        return (done += 1);
      });
      if (job.runCount === 1) throw new Error('again');
    };
    await workingEngine(database, { mail: { backoff: 0, handle } }, { connection });
    await jobs.insert('mail');
    await jobs.empty();
    expect(done).toBe(2);
  });
});

describe('a transactional step', () => {
  const act = (job: Job<never>, what: string, fails: () => boolean = () => false) =>
    job.step(what, { transactional: true }, async (tx) => {
      await tx.query('insert into effects values ($1, $2)', [job.id, what]);
      if (fails()) throw new Error('after the write');
      return what;
    });

  it('commits its writes and its result together', async () => {
    const { database, jobs } = await setup();
    const handle = async (job: Job<never>) => {
      expect(await act(job, 'a', () => job.runCount === 1)).toBe('a');
      expect(await Promise.all([act(job, 'b'), act(job, 'c')])).toEqual(['b', 'c']);
      if (job.runCount < 4) throw new Error('after the steps');
    };
    await workingEngine(database, { mail: { backoff: 0, handle } });
    await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual(['a', 'b', 'c']);
  });

  it('takes jobs and events that are sent inside with it', async () => {
    const { database, jobs, steps } = await setup();
    const payloads: unknown[] = [];
    const handle = async (job: Job<never>) => {
      await job.step('enqueue', { transactional: true }, async () => {
        await taskmaster.publisher.enqueue('next', { of: job.runCount });
        await taskmaster.publisher.emit('sent', {}, { keepMs: 60_000 });
        if (job.runCount === 1) throw new Error('take it all back');
      });
      throw reject('to look at the tables');
    };
    const next = (job: Job<never>) => void payloads.push(job.payload);
    const { taskmaster, log } = await workingEngine(database, { mail: { backoff: 0, handle }, next });
    await jobs.insert('mail');
    await log.of('failed').count(1);
    await log.of('completed').count(1);
    expect(payloads).toEqual([{ of: 2 }]);
    expect(await steps.emitted()).toHaveLength(1);
  });

  it('works through a pool of one connection', async () => {
    const { database, jobs } = await setup();
    const handle = async (job: Job<never>) => {
      await Promise.all([act(job, 'a'), job.step('plain', () => 1), act(job, 'b')]);
    };
    const connection = { ...database.config, max: 1 };
    await workingEngine(database, { mail: { concurrency: 20, handle } }, { connection });
    await jobs.insertMany('mail', 20);
    await jobs.empty();
    expect(await effects(database)).toHaveLength(40);
  });

  it('that hangs is cut off at the timeout of its attempt, and its connection is not waited for', async () => {
    const { database, jobs } = await setup();
    const handle = async (job: Job<never>) => {
      await job.step('hangs', { transactional: true }, async (tx) => {
        await tx.query('insert into effects values ($1, $2)', [job.id, `run ${job.runCount}`]);
        if (job.runCount === 1) await tx.query('select pg_sleep(60)');
      });
    };
    const connection = { ...database.config, max: 1 };
    await workingEngine(database, { mail: { timeoutMs: 1_500, backoff: 0, handle } }, { connection });
    await jobs.insert('mail');
    await jobs.empty();
    expect(await effects(database)).toEqual(['run 2']);
  });
});

describe('the steps of a job', () => {
  const withStep = async (job: Job<never>) => {
    await job.step('a', () => 1);
    await job.sleep(60_000);
  };

  it('go with it, however it ends', async () => {
    const { database, jobs, steps } = await setup();
    const once = (job: Job<never>) => job.step('a', () => 1);
    const { taskmaster } = await workingEngine(database, {
      acked: once,
      kept: { retention: { completedMs: 60_000 }, handle: once },
      transaction: async (job: Job<never>) => {
        await once(job);
        await job.transaction(async () => undefined);
      },
      sleeping: withStep,
    });
    for (const queue of ['acked', 'kept', 'transaction']) await jobs.insert(queue);
    await jobs.empty();
    const [cancelled, deleted] = [await jobs.insert('sleeping'), await jobs.insert('sleeping')];
    await steps.asleep(2);
    await database.query(`select ${jobs.schema}.cancel($1)`, [cancelled]);
    await database.query(`delete from ${jobs.schema}.jobs where id = $1`, [deleted]);
    expect(await steps.all()).toEqual([]);
    await taskmaster.stop();
  });

  it('stay with a job that fails: requeued, it goes on after the last of them', async () => {
    const { database, jobs, steps } = await setup();
    const done: string[] = [];
    let works = false;
    const handle = async (job: Job<never>) => {
      await job.step('a', () => done.push('a'));
      await job.step('b', () => {
        if (!works) throw new Error('not yet');
        done.push('b');
      });
    };
    const { log } = await workingEngine(database, { mail: { maxAttempts: 1, handle } });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    expect(await steps.all()).toMatchObject([{ job_id: id, name: 'a', finished: true }]);
    works = true;
    await database.query(`update ${jobs.schema}.jobs set run_count = 0 where id = $1`, [id]);
    await jobs.empty();
    expect(done).toEqual(['a', 'b']);
    expect(await steps.all()).toEqual([]);
  });

  it('cost jobs without steps nothing: no function is called at their end', async () => {
    const { database, jobs, steps } = await setup();
    await database.query(`alter database "${database.name}" set track_functions = 'all'`);
    const { taskmaster } = await workingEngine(database, {
      plain: () => undefined,
      stepped: (job: Job<never>) => job.step('a', () => 1),
    });
    await jobs.insertMany('plain', 100);
    await jobs.insert('stepped');
    await jobs.empty();
    await taskmaster.close(); // its sessions tell what they have counted when they end
    expect(await steps.all()).toEqual([]);
    expect(
      await database.query(`select calls from pg_stat_user_functions where funcname = 'job_ended'`),
    ).toEqual([{ calls: '1' }]);
  });
});
