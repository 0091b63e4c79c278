import { Injectable } from '@nestjs/common';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  ConsumerRegistry,
  defineQueue,
  PublisherService,
  QueueHandler,
  TaskmasterHealth,
  TaskmasterRuntime,
  type Job,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { nestApp } from './support/nest-app.js';

const Mail = defineQueue<{ to: string }>('mail', { concurrency: 3 });

describe('ConsumerRegistry', () => {
  it('lists what is registered, with class, method and running jobs', async () => {
    const hold = gate();
    @Injectable()
    class MailHandlers {
      @QueueHandler(Mail)
      async send() {
        await hold.pass();
      }
    }
    const { get, publisher } = await nestApp({
      providers: [MailHandlers],
      taskmaster: { consume: ['mail'] },
    });
    get(TaskmasterRuntime).register('elsewhere', function work() {}, { concurrency: 2 });
    await publisher.enqueueMany(Mail, [{ to: 'a' }, { to: 'b' }]);
    await hold.reached(2);
    expect(get(ConsumerRegistry).list()).toEqual([
      {
        queue: 'mail',
        instance: 'default',
        className: 'MailHandlers',
        methodName: 'send',
        concurrency: 3,
        running: 2,
      },
      {
        queue: 'elsewhere',
        instance: 'default',
        className: undefined,
        methodName: 'work',
        concurrency: 2,
        running: 0,
      },
    ]);
    hold.open();
  });
});

describe('TaskmasterRuntime', () => {
  it('registers functions as handlers, also while running', async () => {
    const { get, run } = await nestApp();
    get(TaskmasterRuntime).register(Mail, async (payload, job) => `${payload.to} ${job.queue}`);
    get(TaskmasterRuntime).register('observable', () => of(1, 2));
    expect(await run(Mail, { to: 'a' })).toEqual({ returned: 'a mail' });
    expect(await run('observable')).toEqual({ returned: 2 });
  });

  it('refuses a second handler for a queue, and bad options', async () => {
    const { get } = await nestApp();
    const runtime = get(TaskmasterRuntime);
    runtime.register(Mail, () => undefined);
    expect(() => runtime.register('mail', () => undefined)).toThrow(
      expect.objectContaining({ code: 'TM_DUPLICATE_HANDLER' }),
    );
    expect(() => runtime.register('other', () => undefined, { concurrency: -1 })).toThrow(
      expect.objectContaining({ code: 'TM_INVALID_OPTIONS' }),
    );
  });
});

describe('PublisherService', () => {
  it('enqueues one job, many of one queue, and a mixture, all in order', async () => {
    const { publisher, database } = await nestApp({ taskmaster: { consume: false } });
    const one = await publisher.enqueue(Mail, { to: 'one' }, { priority: 5 });
    const many = await publisher.enqueueMany(Mail, [{ to: 'two' }, { to: 'three' }]);
    const mixed = await publisher.enqueueMany([{ queue: Mail, payload: { to: 'four' } }, { queue: 'other' }]);
    const rows = await database.query<{ id: string; payload: { to?: string } }>(
      `select id, payload from ${database.schema}.jobs order by id`,
    );
    expect(one).toEqual({ id: rows[0]!.id, queue: 'mail', deduplicated: false });
    expect([...many, ...mixed].map(({ id }) => id)).toEqual(rows.slice(1).map(({ id }) => id));
    expect(rows.map(({ payload }) => payload.to)).toEqual(['one', 'two', 'three', 'four', undefined]);
  });

  it('commits with the transaction around it, and rolls back with it', async () => {
    const { publisher, database } = await nestApp({ taskmaster: { consume: false } });
    const failure = new Error('rolled back');
    await expect(
      publisher.withTransaction(async () => {
        await publisher.enqueue(Mail, { to: 'nobody' });
        throw failure;
      }),
    ).rejects.toBe(failure);
    const answer = await publisher.withTransaction(async (tx) => {
      await tx.query('create table made (n int)');
      await publisher.enqueue(Mail, { to: 'somebody' });
      return 'committed';
    });
    expect(answer).toBe('committed');
    expect(await database.query(`select payload from ${database.schema}.jobs`)).toEqual([
      { payload: { to: 'somebody' } },
    ]);
    expect(await database.query('select * from made')).toEqual([]);
  });

  it('can be injected into a handler, and joins its transaction', async () => {
    @Injectable()
    class Handlers {
      constructor(private readonly publisher: PublisherService) {}
      @QueueHandler('parent', { transactional: true, maxAttempts: 1 })
      async parent(payload: { fail: boolean }, _job: Job) {
        await this.publisher.enqueue('child', payload);
        if (payload.fail) throw new Error('no child');
      }
    }
    const { run, database } = await nestApp({ providers: [Handlers] });
    await run('parent', { fail: true });
    await run('parent', { fail: false });
    const children = () =>
      database.query(`select payload from ${database.schema}.jobs where queue_name = 'child'`);
    await eventually(async () => expect(await children()).toEqual([{ payload: { fail: false } }]));
  });
});

describe('TaskmasterHealth', () => {
  it('tells how the instance does, also in the form of a Terminus indicator', async () => {
    const hold = gate();
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      async send() {
        await hold.pass();
      }
    }
    const { app, get, publisher } = await nestApp({ providers: [Handlers] });
    const health = get(TaskmasterHealth);
    expect(await health.check()).toMatchObject({ status: 'up' });
    expect(await health.isHealthy()).toMatchObject({ taskmaster: { status: 'up' } });
    expect(await health.isHealthy('jobs')).toMatchObject({ jobs: { status: 'up' } });

    await publisher.enqueue('mail');
    await hold.reached();
    const closing = app.close();
    await eventually(async () => (await health.check()).status !== 'up');
    const { status } = (await health.isHealthy('jobs', { degradedAs: 'down' }))['jobs']!;
    expect(status).toBe('down');
    hold.open();
    await closing;
  });
});
