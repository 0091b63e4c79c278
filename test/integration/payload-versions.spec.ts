import { describe, expect, it } from 'vitest';
import { type AnyQueue, defineQueue } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { SHORT_LEASE } from './support/working-engine.js';

interface Address {
  readonly name: string;
}

const V1 = defineQueue<string>('mail');
const V2 = defineQueue<Address>('mail', {
  version: 2,
  upcasters: { 1: (name: string) => ({ name }) },
});
const V3 = defineQueue<{ names: string[] }>('mail', {
  version: 3,
  upcasters: { 1: (name: string) => ({ name }), 2: async ({ name }: Address) => ({ names: [name] }) },
});

/** An engine of some release of the application. */
const release = async (database: TestDatabase, queue: AnyQueue, options = {}) => {
  const taskmaster = engine(database, { lease: SHORT_LEASE });
  const handled = new SignalPoint<unknown>();
  taskmaster.register({ queue, label: 'mail', options, handle: (payload) => handled.signal(payload) });
  await taskmaster.start();
  return { taskmaster, handled };
};

describe('a queue with versions', () => {
  it('hands its handler payloads of older versions as the newest has them', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    await publisher.enqueue(V1, 'first');
    await publisher.enqueue(V2, { name: 'second' });
    await publisher.enqueueMany(V3, [{ names: ['third'] }]);
    await new JobTable(database).insert('mail', { payload: '"plain"' });
    const { handled } = await release(database, V3);
    expect(new Set(await handled.count(4))).toEqual(
      new Set(['first', 'second', 'third', 'plain'].map((name) => ({ names: [name] }))),
    );
  });

  it('takes the version that plain SQL names', async () => {
    const database = await testDatabase();
    await database.query(`select taskmaster.enqueue('mail', '{"name": "sql"}', '{"version": 2}')`);
    const { handled } = await release(database, V3);
    expect(await handled.count(1)).toEqual([{ names: ['sql'] }]);
    await expect(
      database.query(`select taskmaster.enqueue('mail', '{}', '{"version": "new"}')`),
    ).rejects.toThrow('version must be a number of at least 1');
  });

  it('checks the schema after its upcasters', async () => {
    const database = await testDatabase();
    const strict = defineQueue('mail', {
      version: 2,
      upcasters: { 1: (name: string) => ({ name }) },
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value: unknown) =>
            typeof (value as Address).name === 'string'
              ? { value: value as Address }
              : { issues: [{ message: 'expected a name', path: ['name'] }] },
        },
      },
    });
    const jobs = new JobTable(database);
    await jobs.insert('mail', { payload: '"old"' });
    const bad = await jobs.insert('mail', { payload: '7' });
    const { handled } = await release(database, strict);
    expect(await handled.count(1)).toEqual([{ name: 'old' }]);
    const { last_error: error } = await jobs.in(bad, 'failed');
    expect(error).toMatchObject({ code: 'TM_INVALID_PAYLOAD', name: 'InvalidPayloadError' });
  });

  it('fails a job at once whose upcaster throws', async () => {
    const database = await testDatabase();
    const broken = defineQueue('mail', {
      version: 2,
      upcasters: {
        1: () => {
          throw new TypeError('no way');
        },
      },
    });
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail');
    await release(database, broken);
    const { last_error: error, run_count: runs } = await jobs.in(id, 'failed');
    expect(runs).toBe(1);
    expect(error?.message).toContain('its upcaster from version 1 has failed');
  });

  it.each([
    [{ version: 3, upcasters: { 1: String } }, 'expected one for version 2'],
    [{ version: 2 }, 'expected one for version 1'],
    [{ version: 2, upcasters: { 1: String, 2: String } }, 'expected versions from 1 to 1, got "2"'],
    [{ version: 0 }, 'version: expected an integer'],
    [{ version: 2, upcasters: { 1: 'x' } }, 'upcasters[1]'],
  ])('refuses %j', (options, problem) => {
    expect(() => defineQueue('mail', options as never)).toThrow(problem);
  });
});

describe('a worker of an older release', () => {
  it('leaves jobs of a version it does not know, spends no attempt, and goes on with the others', async () => {
    const database = await testDatabase();
    const { publisher, admin } = await openEngine(database);
    const { id } = await publisher.enqueue(V2, { name: 'new' }, { maxAttempts: 1 });
    await publisher.enqueue(V1, 'old');
    const { handled } = await release(database, V1);
    expect(await handled.count(1)).toEqual(['old']);
    const jobs = new JobTable(database);
    expect(await jobs.in(id, 'blocked')).toMatchObject({ run_count: 0, last_error: null });
    expect(await admin.jobs.explain(id)).toMatchObject({ reason: 'newerVersion', facts: { version: 2 } });
    const [said] = await database.query('select taskmaster.explain($1) as text', [id]);
    expect(said!['text']).toBe('waits for a worker that knows version 2 of its payload');
  });

  it('holds up no one: the newer release runs them when it comes', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const { id } = await publisher.enqueue(V2, { name: 'new' }, { maxAttempts: 1 });
    await release(database, V1);
    await new JobTable(database).in(id, 'blocked');
    const { handled } = await release(database, V2);
    expect(await handled.count(1)).toEqual([{ name: 'new' }]);
    await new JobTable(database).empty();
  });

  it('lets a newer one beside it do all of them, and each is done once', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const [old, young] = [await release(database, V1), await release(database, V2)];
    const names = Array.from({ length: 200 }, (_, n) => `n${n}`);
    await publisher.enqueueMany(
      V2,
      names.map((name) => ({ name })),
    );
    await young.handled.count(200, { timeoutMs: 25_000 });
    await new JobTable(database).empty();
    expect(old.handled.values).toEqual([]);
    expect(young.handled.values.map((payload) => (payload as Address).name).toSorted()).toEqual(
      names.toSorted(),
    );
  });

  it('leaves no dead letter of another queue: its version is one of that queue', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database, { lease: SHORT_LEASE });
    const letters = new SignalPoint<unknown>();
    taskmaster.register({
      queue: V2,
      label: 'mail',
      options: { maxAttempts: 1, deadLetter: 'letters' },
      handle: () => {
        throw new Error('no');
      },
    });
    taskmaster.register({ queue: 'letters', label: 'letters', handle: (payload) => letters.signal(payload) });
    await taskmaster.start();
    await taskmaster.publisher.enqueue(V2, { name: 'new' });
    expect(await letters.count(1)).toEqual([{ name: 'new' }]);
  });

  it('keeps the order of a group', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const older = await release(database, V1, { groupConcurrency: 1 });
    await publisher.enqueue(V2, { name: 'first' }, { group: 'g' });
    const second = await publisher.enqueue(V1, 'second', { group: 'g' });
    await publisher.enqueue(V1, 'of no group');
    expect(await older.handled.count(1)).toEqual(['of no group']);
    expect(await new JobTable(database).of(second.id)).toMatchObject({ state: 'ready' });
    await older.taskmaster.stop();
    const younger = await release(database, V2, { groupConcurrency: 1 });
    expect(await younger.handled.count(2)).toEqual([{ name: 'first' }, { name: 'second' }]);
  });
});

describe('an alias', () => {
  it('is a former name of the queue, whose jobs go to the same handler', async () => {
    const database = await testDatabase();
    const queue = defineQueue<string>('mail', { aliases: ['send_mail', 'mails'] });
    const { publisher } = await openEngine(database);
    await publisher.enqueue('send_mail', 'old');
    await publisher.enqueue('mails', 'older');
    const { handled, taskmaster } = await release(database, queue);
    await handled.count(2);
    await publisher.enqueue(queue, 'new');
    await publisher.enqueue('send_mail', 'old, while it runs');
    expect((await handled.count(4)).toSorted()).toEqual(['new', 'old', 'old, while it runs', 'older']);
    expect(taskmaster.handlers.map((handler) => handler.queue)).toEqual(['mail', 'send_mail', 'mails']);
  });

  it('is consumed where the queue is', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database, { consume: ['mail'] });
    const handled = new SignalPoint<unknown>();
    const queue = defineQueue<string>('mail', { aliases: ['old'] });
    taskmaster.register({ queue, label: 'mail', handle: (payload: string) => handled.signal(payload) });
    await taskmaster.start();
    await taskmaster.publisher.enqueue('old', 1);
    expect(await handled.count(1)).toEqual([1]);
  });

  it('excludes another handler of that name', async () => {
    const taskmaster = engine(await testDatabase());
    taskmaster.register({ queue: 'old', label: 'Old.run', handle: () => undefined });
    const queue = defineQueue('mail', { aliases: ['old'] });
    expect(() => taskmaster.register({ queue, label: 'Mail.run', handle: () => undefined })).toThrow(
      expect.objectContaining({ code: 'TM_DUPLICATE_HANDLER', first: 'Old.run', second: 'Mail.run' }),
    );
    expect(taskmaster.handlers.map((handler) => handler.queue)).toEqual(['old']);
  });

  it('is not the name of the queue itself, and a queue name', () => {
    expect(() => defineQueue('mail', { aliases: ['mail'] })).toThrow('aliases: expected former names');
    expect(() => defineQueue('mail', { aliases: [''] })).toThrow('aliases[0]');
  });
});
