import { describe, expect, it } from 'vitest';
import {
  ClosedError,
  InvalidOptionsError,
  InvalidPayloadError,
  reject,
  type Job,
} from '../../lib/engine/index.js';
import { beginWait } from '../../lib/engine/sql/durable-steps.js';
import { deliverEvents, emitEvent } from '../../lib/engine/sql/emit-events.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { thrownBy } from '../support/thrown-by.js';
import { JobTable } from './support/job-table.js';
import { statementRunner } from './support/statement-runner.js';
import { StepTable } from './support/step-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const LONG_MS = 3_600_000;

const setup = async () => {
  const database = await testDatabase();
  return { database, jobs: new JobTable(database), steps: new StepTable(database) };
};

/** A handler that waits for `paid` and tells what it got. */
const waiting = (options: { readonly timeoutMs?: number } = {}) => {
  const got = new SignalPoint<unknown>();
  const runs = new SignalPoint<string>();
  const handle = async (job: Job<never>) => {
    runs.signal(job.id);
    got.signal(await job.waitForEvent('paid', options));
  };
  return { got, runs, handle };
};

describe('job.waitForEvent()', () => {
  it.each([
    ['with bells', {}],
    ['by polling', NO_BELLS],
  ])('gives the slot back until the event is emitted, and gets its payload, %s', async (_name, options) => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting();
    const { taskmaster, log } = await workingEngine(database, { mail: { maxAttempts: 1, handle } }, options);
    const id = await jobs.insert('mail');
    expect(await steps.asleep()).toEqual([
      expect.objectContaining({ id, kind: 'event', name: 'paid', event_name: 'paid', wake_at: null }),
    ]);
    expect(await jobs.of(id)).toMatchObject({ state: 'blocked', run_count: 0, locked_by: null });
    expect(await log.of('sleeping').count(1)).toMatchObject([{ jobId: id, delayMs: undefined }]);
    await taskmaster.publisher.emit('paid', { cents: 5, at: new Date(0) });
    await jobs.empty();
    expect(got.values).toEqual([{ cents: 5, at: '1970-01-01T00:00:00.000Z' }]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
    expect(await steps.emitted()).toEqual([]);
  });

  it('wakes every job that waits for that event, and no other', async () => {
    const { database, steps } = await setup();
    const woken: string[] = [];
    const handle = async (job: Job<never>) => {
      const { order } = job.payload as { order: number };
      await job.waitForEvent(`order:${order}:paid`);
      woken.push(job.id);
    };
    const { taskmaster } = await workingEngine(database, { mail: handle });
    const ids = await taskmaster.publisher.enqueueMany('mail', [{ order: 1 }, { order: 2 }, { order: 1 }]);
    await steps.asleep(3);
    await taskmaster.publisher.emit('order:1:paid');
    await steps.asleep(1);
    await eventually(() => woken.length === 2);
    expect(woken.toSorted()).toEqual([ids[0]!.id, ids[2]!.id]);
  });

  it('wakes jobs of processes other than the one that emits', async () => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting();
    await workingEngine(database, { mail: handle });
    const publishing = await openEngine(database);
    await jobs.insert('mail');
    await steps.asleep();
    await publishing.publisher.emit('paid', 'from elsewhere');
    expect(await got.count(1)).toEqual(['from elsewhere']);
    await jobs.empty();
  });

  it('gets undefined when its time is over, and that stays so', async () => {
    const { database, jobs, steps } = await setup();
    const got: unknown[] = [];
    const handle = async (job: Job<never>) => {
      got.push(await job.waitForEvent('paid', { timeoutMs: LONG_MS }));
      await job.sleep(LONG_MS);
      got.push(await job.waitForEvent('paid', { timeoutMs: 0 }));
    };
    const { taskmaster, log } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    expect(await steps.asleep()).toMatchObject([{ kind: 'event' }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'scheduled' });
    await steps.elapse();
    await log.of('sleeping').count(2);
    expect(await steps.asleep()).toMatchObject([{ kind: 'sleep' }]);
    await taskmaster.publisher.emit('paid', 'too late', { keepMs: LONG_MS });
    await steps.elapse();
    await jobs.empty();
    expect(got).toEqual([undefined, undefined, 'too late']);
  });

  it('does not get what was emitted before it waited', async () => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting({ timeoutMs: 50 });
    const { taskmaster } = await workingEngine(database, { mail: handle });
    await taskmaster.publisher.emit('paid', 'too early');
    expect(await steps.emitted()).toEqual([]); // nobody waits: it is not even stored
    await jobs.insert('mail');
    await jobs.empty();
    expect(got.values).toEqual([undefined]);
  });

  it('gets what was kept, at once, and each job gets each event once', async () => {
    const { database, jobs, steps } = await setup();
    const got: unknown[] = [];
    const handle = async (job: Job<never>) => {
      got.push(await job.waitForEvent('paid'));
      got.push(await job.waitForEvent('paid'));
      got.push(await job.waitForEvent('paid', { timeoutMs: 0 }));
    };
    const { taskmaster, log } = await workingEngine(database, { mail: handle });
    for (const payload of [1, 2]) await taskmaster.publisher.emit('paid', payload, { keepMs: LONG_MS });
    for (let n = 0; n < 2; n += 1) {
      await jobs.insert('mail');
      await jobs.empty();
    }
    expect(got).toEqual([1, 2, undefined, 1, 2, undefined]);
    expect(log.of('sleeping').values).toEqual([]);
    await database.query(`update "${database.schema}".emitted set expires_at = now()`);
    await eventually(async () => (await steps.emitted()).length === 0);
  });

  it('tells its waits for one event apart by their order, and others by their name', async () => {
    const { database, jobs, steps } = await setup();
    const got: unknown[] = [];
    const handle = async (job: Job<never>) => {
      got.push(await job.waitForEvent('tick', { name: 'mine' }));
      got.push(await job.waitForEvent('tick'));
      got.push(await job.waitForEvent('tick'));
      return reject('to look at the table');
    };
    const { taskmaster, log } = await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    for (let n = 1; n <= 3; n += 1) {
      await log.of('sleeping').count(n);
      await steps.asleep();
      await taskmaster.publisher.emit('tick', n);
    }
    await log.of('failed').count(1);
    expect(got).toEqual([1, 1, 2, 1, 2, 3]);
    expect((await steps.all()).map(({ name, nth, event_name }) => [name, nth, event_name])).toEqual([
      ['mine', 0, 'tick'],
      ['tick', 1, 'tick'],
      ['tick', 2, 'tick'],
    ]);
  });

  it('gives one event to one of two waits of a job', async () => {
    const { database, jobs, steps } = await setup();
    const got: unknown[] = [];
    const handle = async (job: Job<never>) => {
      got.push(...(await Promise.all([job.waitForEvent('tick'), job.waitForEvent('tick')])));
    };
    const { taskmaster, log } = await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await steps.asleep();
    await taskmaster.publisher.emit('tick', 1);
    await log.of('sleeping').count(2);
    await steps.asleep();
    await taskmaster.publisher.emit('tick', 2);
    await jobs.empty();
    expect(got).toEqual([1, 2]);
  });

  it('misses nothing that is emitted before its job is parked', async () => {
    const { database, jobs, steps } = await setup();
    const closed = gate();
    const got: unknown[] = [];
    const handle = async (job: Job<never>) => {
      try {
        got.push(await job.waitForEvent('paid'));
      } finally {
        await closed.pass();
      }
    };
    const { taskmaster, log } = await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await closed.reached(1);
    await taskmaster.publisher.emit('paid', 'meanwhile');
    await steps.delivered();
    closed.open();
    await jobs.empty();
    expect(got).toEqual(['meanwhile']);
    expect(await log.of('sleeping').count(1)).toMatchObject([{ delayMs: 0 }]);
  });

  it('misses nothing that is kept, though neither could see the other', async () => {
    const { database, jobs, steps } = await setup();
    const [waiter, other] = [await database.client(), await database.client()];
    const wait = statementRunner(waiter, database.schema);
    const run = statementRunner(other, database.schema);
    const id = await jobs.insert('mail');
    const [{ seq } = { seq: '' }] = await database.query<{ seq: string }>(
      `select seq from ${jobs.schema}.jobs`,
    );
    const args = { id, seq, kind: 'event', name: 'paid', nth: 1, event: 'paid', waitMs: null } as const;
    await waiter.query('begin');
    expect(await wait(beginWait, args)).toEqual([{ finished: false, result: null }]);
    await run(emitEvent, { event: 'paid', payload: '1', keepMs: LONG_MS });
    expect(await run(deliverEvents, { limit: 10 })).toEqual([
      { delivered: 1, ended: 0, held: 0, queues: [] },
    ]);
    await waiter.query('commit');
    expect(await steps.emitted()).toEqual([{ name: 'paid', pending: false }]);
    expect(await wait(beginWait, args)).toEqual([{ finished: true, result: '1' }]); // the second look
  });

  it('gets its event when the lock that somebody has on its job is gone', async () => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting();
    const { taskmaster } = await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    await steps.asleep();
    const locker = await database.client();
    await locker.query('begin');
    await locker.query(`select from ${jobs.schema}.jobs where id = $1 for update`, [id]);
    await taskmaster.publisher.emit('paid', 1);
    await taskmaster.publisher.emit('other', 1, { keepMs: LONG_MS });
    await eventually(async () => (await steps.emitted())[1]?.pending === false); // others are not held up
    expect(await steps.emitted()).toMatchObject([{ name: 'paid', pending: true }, { name: 'other' }]);
    await locker.query('commit');
    expect(await got.count(1)).toEqual([1]);
    await jobs.empty();
  });

  it('is refused a name and options that cannot be', async () => {
    const { database, jobs } = await setup();
    const errors = new SignalPoint<unknown>();
    const handle = (job: Job<never>) => {
      errors.signal(thrownBy(() => job.waitForEvent('')));
      errors.signal(thrownBy(() => job.waitForEvent('x'.repeat(257))));
      errors.signal(thrownBy(() => job.waitForEvent('a', { timeoutMs: -1 })));
      errors.signal(thrownBy(() => job.waitForEvent('a', { timeout: 1 } as never)));
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    expect(await errors.count(4)).toEqual(Array.from({ length: 4 }, () => expect.any(InvalidOptionsError)));
  });
});

describe('publisher.emit()', () => {
  it('is part of the transaction it is given, or that surrounds it', async () => {
    const { database, jobs, steps } = await setup();
    const { got, runs, handle } = waiting();
    const { taskmaster } = await workingEngine(database, { mail: handle });
    const { publisher } = taskmaster;
    await jobs.insert('mail');
    await steps.asleep();
    const client = await database.client();
    await client.query('begin');
    await publisher.emit('paid', 'rolled back', { tx: client });
    await client.query('rollback');
    await expect(
      publisher.withTransaction(async () => {
        await publisher.emit('paid', 'rolled back as well');
        throw new Error('take it back');
      }),
    ).rejects.toThrow('take it back');
    await client.query('begin isolation level repeatable read');
    await publisher.emit('paid', 'committed', { tx: client });
    await client.query('commit');
    await jobs.empty();
    expect(got.values).toEqual(['committed']);
    expect(runs.values).toHaveLength(2);
  });

  it('is seen from a snapshot that is older than the wait', async () => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting();
    const { taskmaster } = await workingEngine(database, { mail: handle });
    const client = await database.client();
    await client.query('begin isolation level repeatable read');
    await client.query('select 1 from pg_class limit 1');
    await jobs.insert('mail');
    await steps.asleep();
    await taskmaster.publisher.emit('paid', 'from the past', { tx: client });
    await client.query('commit');
    await jobs.empty();
    expect(got.values).toEqual(['from the past']);
  });

  it('is there in SQL', async () => {
    const { database, jobs, steps } = await setup();
    const { got, handle } = waiting();
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await steps.asleep();
    await database.query(`select ${jobs.schema}.emit('paid', '{"cents": 5}')`);
    await jobs.empty();
    expect(got.values).toEqual([{ cents: 5 }]);
    for (const bad of [`''`, 'null', `repeat('x', 257)`, `'a', '1', -1`, `'a', '1', 'NaN'`, `'a', '1', null`])
      await expect(database.query(`select ${jobs.schema}.emit(${bad})`)).rejects.toMatchObject({
        code: '22023',
      });
  });

  it('wakes more jobs than are woken in one pass', async () => {
    const { database, jobs, steps } = await setup();
    await database.query(
      `with parked as (
         insert into ${jobs.schema}.jobs (queue_name, payload, run_at, flags) select 'mail', '{}', 'infinity', 8 from generate_series(1, 2500)
         returning id, seq)
       insert into ${jobs.schema}.steps (job_id, kind, name, nth, event_name, token) select id, 'event', 'go', 1, 'go', seq from parked`,
    );
    const { taskmaster } = await workingEngine(database, { mail: () => undefined });
    await taskmaster.publisher.emit('go');
    await jobs.empty();
    expect(await steps.all()).toEqual([]);
    expect(await steps.emitted()).toEqual([]);
  });

  it('refuses what cannot be emitted, and after the engine was closed everything', async () => {
    const { database, steps } = await setup();
    const { publisher, ...rest } = await openEngine(database);
    expect(rest).toBeDefined();
    await expect(publisher.emit('')).rejects.toBeInstanceOf(InvalidOptionsError);
    await expect(publisher.emit('a', {}, { keepMs: -1 })).rejects.toBeInstanceOf(InvalidOptionsError);
    await expect(publisher.emit('a', { n: 1n })).rejects.toBeInstanceOf(InvalidPayloadError);
    expect(await steps.emitted()).toEqual([]);
    await publisher.close();
    await expect(publisher.emit('a')).rejects.toBeInstanceOf(ClosedError);
  });

  it('says that it does not know when the connection breaks before the answer', async () => {
    const { database, steps } = await setup();
    const { proxy, connection } = await faultyProxy(database);
    const { publisher } = await openEngine(database, { connection });
    void proxy.dropReply({ to: /\.emit\(/ });
    await expect(publisher.emit('paid', 1, { keepMs: LONG_MS })).rejects.toMatchObject({
      code: 'TM_EMIT_OUTCOME_UNKNOWN',
      event: 'paid',
    });
    await eventually(async () => (await steps.emitted()).length === 1);
    proxy.refuse();
    await expect(publisher.emit('paid')).rejects.toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
  });
});
