import { describe, expect, it } from 'vitest';
import { defineQueue, QueueFullError } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const LATER = new Date('2100-01-01T00:00:00Z');
const Mail = defineQueue<{ n: number }>('mail');
const full = (pending: number, maxPending: number) => ({
  code: 'TM_QUEUE_FULL',
  queue: 'mail',
  maxPending,
  pending,
});
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

/** Queue `mail` takes so many jobs; nobody works. */
const setup = async (most: number) => {
  const database = await testDatabase();
  const taskmaster = await openEngine(database);
  await taskmaster.admin.queues.setMaxPending('mail', most);
  const jobs = new JobTable(database);
  const count = async () => (await jobs.all()).filter((job) => job.queue_name === 'mail').length;
  return { database, taskmaster, jobs, count, publisher: taskmaster.publisher, admin: taskmaster.admin };
};

describe('the most jobs of a queue', () => {
  it('refuses what would be more with a typed error, and stores nothing of it', async () => {
    const { publisher, count } = await setup(3);
    await publisher.enqueueMany(Mail, numbers(3));
    const refused = await publisher.enqueue(Mail, { n: 4 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(QueueFullError);
    expect(refused).toMatchObject(full(3, 3));
    expect((refused as Error).message).toBe(
      'Queue "mail" is full: 3 of its jobs have not ended, and "maxPending" is 3. ' +
        'Enqueue later, enqueue fewer at once, or raise the limit.',
    );
    expect(await count()).toBe(3);
  });

  it('takes all of enqueueMany or none', async () => {
    const { publisher, count } = await setup(3);
    await publisher.enqueue(Mail, { n: 0 });
    await expect(publisher.enqueueMany(Mail, numbers(3))).rejects.toMatchObject(full(1, 3));
    expect(await count()).toBe(1);
    await publisher.enqueueMany(Mail, numbers(2));
    expect(await count()).toBe(3);
  });

  it('counts chunks of one call as one', async () => {
    const { publisher, count } = await setup(2_500);
    await expect(publisher.enqueueMany(Mail, numbers(2_501))).rejects.toMatchObject({
      code: 'TM_QUEUE_FULL',
    });
    expect(await count()).toBe(0);
    await publisher.enqueueMany(Mail, numbers(2_500));
    expect(await count()).toBe(2_500);
  });

  it('is used to the last job, and never exceeded, by calls made at once in many processes', async () => {
    const { database, count } = await setup(50);
    const publishers = await Promise.all(
      Array.from({ length: 4 }, async () => (await openEngine(database)).publisher),
    );
    const calls = publishers.flatMap((publisher) => [
      ...Array.from({ length: 15 }, (_, n) => publisher.enqueue(Mail, { n })),
      ...Array.from({ length: 5 }, (_, n) => publisher.enqueue(Mail, { n }, { group: `g${n % 2}` })),
      ...Array.from({ length: 5 }, (_, n) => publisher.enqueue(Mail, { n }, { runAt: LATER })),
    ]);
    const results = await Promise.allSettled(calls);
    const reasons = results.filter((result) => result.status === 'rejected').map((result) => result.reason);
    expect(reasons.map((reason: { code: string }) => reason.code)).toEqual(Array(50).fill('TM_QUEUE_FULL'));
    expect(await count()).toBe(50);
  });

  it('does not refuse jobs of other queues that share an INSERT with those of a full one', async () => {
    const { publisher, count } = await setup(2);
    const results = await Promise.allSettled(
      numbers(20).map((payload) => publisher.enqueue(payload.n % 2 === 0 ? 'mail' : 'other', payload)),
    );
    const refused = results.flatMap((result, n) => (result.status === 'rejected' ? [n] : []));
    expect(refused).toEqual([4, 6, 8, 10, 12, 14, 16, 18]);
    expect(await count()).toBe(2);
  });

  it.each(['read committed', 'repeatable read', 'serializable'])(
    'holds in transactions that overlap, %s',
    async (isolation) => {
      const { database, publisher, count } = await setup(2);
      const [first, second] = [await database.client(), await database.client()];
      for (const client of [first, second]) {
        await client.query(`begin isolation level ${isolation}`);
        await client.query('select 1');
      }
      await publisher.enqueueMany(Mail, numbers(2), { tx: first });
      const late = publisher.enqueue(Mail, { n: 3 }, { tx: second }).catch((error: unknown) => error);
      await first.query('commit');
      const expected =
        isolation === 'read committed' ? full(2, 2) : { code: 'TM_DATABASE', sqlState: '40001' };
      expect(await late).toMatchObject(expected);
      await second.query('rollback');
      expect(await count()).toBe(2);
    },
  );

  it('gives back the room of a transaction, and of a savepoint, that is rolled back', async () => {
    const { database, publisher, count } = await setup(3);
    const client = await database.client();
    await client.query('begin');
    await publisher.enqueue(Mail, { n: 0 }, { tx: client });
    await client.query('savepoint half');
    await publisher.enqueueMany(Mail, numbers(2), { tx: client });
    await client.query('rollback to half');
    await publisher.enqueueMany(Mail, numbers(2), { tx: client });
    await client.query('rollback');
    await publisher.enqueueMany(Mail, numbers(3));
    expect(await count()).toBe(3);
  });

  it('counts scheduled, blocked and running jobs, and not those that have ended', async () => {
    const { database, publisher, jobs, admin } = await setup(3);
    const closed = gate();
    const handle = (job: { readonly id: string }) => (job.id === '1' ? closed.pass() : undefined);
    await publisher.enqueue(Mail, { n: 1 });
    const parent = await publisher.enqueue(Mail, { n: 2 }, { runAt: LATER });
    await publisher.enqueue(Mail, { n: 3 }, { dependsOn: [parent] });
    await workingEngine(database, { mail: handle });
    await closed.reached(1);
    await expect(publisher.enqueue(Mail, { n: 4 })).rejects.toMatchObject(full(3, 3));
    closed.open();
    await eventually(async () => (await jobs.all()).length === 2);
    await jobs.insert('mail', { run_at: 'infinity', failed_at: '2026-01-01T00:00:00Z', run_count: 1 });
    await publisher.enqueue(Mail, { n: 5 }, { runAt: LATER });
    await expect(publisher.enqueue(Mail, { n: 6 })).rejects.toMatchObject(full(3, 3));
    expect(await admin.queues.size('mail')).toMatchObject({ count: 3 });
  });

  it('holds for flows as a whole, and for batches', async () => {
    const { publisher, count } = await setup(2);
    const three = publisher.flow((flow) => {
      const first = flow.add('mail');
      const second = flow.add('mail', {}, { dependsOn: [first] });
      flow.add('mail', {}, { dependsOn: [second] });
    });
    await expect(three).rejects.toMatchObject({ code: 'TM_QUEUE_FULL' });
    const batch = publisher.batch((jobs) => {
      for (const payload of numbers(3)) jobs.add('mail', payload);
    });
    await expect(batch).rejects.toMatchObject({ code: 'TM_QUEUE_FULL' });
    expect(await count()).toBe(0);
  });

  it('holds for plain SQL: the function, INSERT of one and of many', async () => {
    const { database, jobs, count } = await setup(2);
    await database.query(`select ${jobs.schema}.enqueue('mail', '{}')`);
    await jobs.insert('mail');
    await expect(database.query(`select ${jobs.schema}.enqueue('mail', '{}')`)).rejects.toMatchObject({
      code: 'P0Q01',
      message: 'queue full (maxPending 2, pending 2): mail',
    });
    await expect(jobs.insert('mail')).rejects.toMatchObject({ code: 'P0Q01' });
    await expect(jobs.insertMany('mail', 5)).rejects.toMatchObject({ code: 'P0Q01' });
    expect(await count()).toBe(2);
  });

  it('counts a failed job again that is let run', async () => {
    const { publisher, jobs, admin } = await setup(2);
    const id = await jobs.insert('mail', {
      run_at: 'infinity',
      failed_at: '2026-01-01T00:00:00Z',
      run_count: 1,
    });
    await publisher.enqueue(Mail, { n: 1 });
    await admin.jobs.retry(id);
    await expect(publisher.enqueue(Mail, { n: 2 })).rejects.toMatchObject(full(2, 2));
  });

  it('is what it was set to last, up or down', async () => {
    const { publisher, admin } = await setup(10);
    await publisher.enqueueMany(Mail, numbers(5));
    await admin.queues.setMaxPending('mail', 5);
    await expect(publisher.enqueue(Mail, { n: 6 })).rejects.toMatchObject(full(5, 5));
    await admin.queues.setMaxPending('mail', Infinity);
    await publisher.enqueueMany(Mail, numbers(10));
    await admin.queues.setMaxPending('mail', 16);
    await publisher.enqueue(Mail, { n: 6 });
    await expect(publisher.enqueue(Mail, { n: 7 })).rejects.toMatchObject(full(16, 16));
  });

  it('lets an equal unique job pass, which adds none', async () => {
    const { publisher } = await setup(1);
    const first = await publisher.enqueue(Mail, { n: 1 }, { unique: { key: 'a' } });
    const second = await publisher.enqueue(Mail, { n: 2 }, { unique: { key: 'a' } });
    expect(second).toEqual({ ...first, deduplicated: true });
    await expect(publisher.enqueue(Mail, { n: 2 }, { unique: { key: 'b' } })).rejects.toMatchObject({
      code: 'TM_QUEUE_FULL',
    });
  });

  it('makes a schedule skip what finds the queue full', async () => {
    const { database, taskmaster, count } = await setup(1);
    await taskmaster.publisher.enqueue(Mail, { n: 1 });
    await taskmaster.admin.schedules.upsert({ name: 'hourly', cron: '0 * * * *', queue: 'mail' });
    const { log } = await workingEngine(database, { other: () => undefined });
    await database.query(
      `update "${database.schema}".schedules set next_run_at = now() - interval '1 second'`,
    );
    const [skipped] = await log.of('scheduleSkipped').count(1);
    expect(skipped).toMatchObject({ schedule: 'hourly', queue: 'mail' });
    expect(await count()).toBe(1);
    await expect(taskmaster.admin.schedules.trigger('hourly')).rejects.toMatchObject({
      code: 'TM_QUEUE_FULL',
    });
  });

  it('keeps a schedule due, and nobody waiting, while a transaction is about to fill the queue', async () => {
    const { database, publisher, taskmaster, jobs } = await setup(2);
    await taskmaster.admin.schedules.upsert({ name: 'hourly', cron: '0 * * * *', queue: 'mail' });
    const { log } = await workingEngine(database, { other: () => undefined }, NO_BELLS);
    const client = await database.client();
    await client.query('begin');
    await publisher.enqueue(Mail, { n: 1 }, { tx: client });
    await database.query(
      `update "${database.schema}".schedules set next_run_at = now() - interval '1 second'`,
    );
    for (let n = 0; n < 20; n += 1) await publisher.enqueue('other');
    await eventually(async () => (await jobs.all()).length === 0);
    expect(log.of('scheduleFired').values).toEqual([]);
    await client.query('commit');
    await eventually(() => log.of('scheduleFired').values.length === 1);
  });

  it('does not refuse the copy of a failed job, nor the callback of a batch', async () => {
    const { database, publisher, jobs } = await setup(1);
    await publisher.enqueue(Mail, { n: 1 }, { runAt: LATER });
    await workingEngine(database, {
      broken: {
        maxAttempts: 1,
        deadLetter: 'mail',
        handle: () => {
          throw new Error('no');
        },
      },
      fine: () => undefined,
    });
    await publisher.enqueue('broken');
    await publisher.batch(
      (batch) => {
        batch.add('fine');
      },
      { onFinished: { queue: 'mail' } },
    );
    await eventually(async () => (await jobs.all()).filter((job) => job.queue_name === 'mail').length === 3);
    await expect(publisher.enqueue(Mail, { n: 2 })).rejects.toMatchObject(full(1, 1));
  });
});

describe('who says how many', () => {
  it('is the handler, for every process, until it is started without', async () => {
    const database = await testDatabase();
    const { publisher, admin } = await openEngine(database);
    const handle = () => undefined;
    const paused = { forMs: 60_000 };
    await admin.queues.pause('mail', paused);
    const first = await workingEngine(database, { mail: { maxPending: 1, handle } });
    await publisher.enqueue(Mail, { n: 1 });
    await expect(publisher.enqueue(Mail, { n: 2 })).rejects.toMatchObject(full(1, 1));
    expect(await admin.queues.stats('mail')).toMatchObject({ maxPending: 1 });
    await first.taskmaster.stop();
    await workingEngine(database, { mail: handle });
    await publisher.enqueue(Mail, { n: 2 });
    expect(await admin.queues.stats('mail')).toMatchObject({ maxPending: undefined });
  });

  it('is an operator, whatever the code says, until he leaves it to the code', async () => {
    const database = await testDatabase();
    const { admin } = await openEngine(database);
    const most = async () => (await admin.queues.list()).find((each) => each.queue === 'mail')?.maxPending;
    await admin.queues.setMaxPending('mail', 7);
    expect(await most()).toBe(7);
    await workingEngine(database, { mail: { maxPending: 3, handle: () => undefined } });
    expect(await most()).toBe(7);
    await admin.queues.setMaxPending('mail', Infinity);
    expect(await most()).toBeUndefined();
    await admin.queues.setMaxPending('mail', null);
    expect(await most()).toBe(3);
  });

  it.each([0, -1, 1.5, Number.NaN, '5' as never])('may not say %s', async (most) => {
    const { admin } = await openEngine(await testDatabase());
    await expect(admin.queues.setMaxPending('mail', most)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });
});
