import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import {
  defineQueue,
  type HandlerOptions,
  type Job,
  JobFailedError,
  PayloadEncryptionError,
  type QueueDefinition,
  reject,
  type TaskmasterOptions,
  type WatchedEvent,
} from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { aes } from './support/aes.js';
import { EventLog } from './support/event-log.js';
import { JobTable } from './support/job-table.js';
import { tableDump } from './support/table-dump.js';

/** What must appear nowhere: neither in a value nor as a key. */
const CANARY = 'canary-4111-1111';
const SECRET = { card: CANARY, [CANARY]: true };
const HOUR = 3_600_000;

const encryption = aes({ k1: randomBytes(32) });
const VAULT = defineQueue<{ card: string; how?: string }>('vault', { encryption });

const working = async (
  database: TestDatabase,
  queue: QueueDefinition<never>,
  handle: (job: Job<never>) => unknown,
  options: HandlerOptions = {},
  engineOptions: Partial<TaskmasterOptions> = {},
) => {
  const taskmaster = engine(database, engineOptions);
  const log = new EventLog(taskmaster.events);
  taskmaster.register({
    queue,
    label: 'vault',
    options: { backoff: 1, ...options },
    handle: (_payload, job) => handle(job),
  });
  await taskmaster.start();
  return { taskmaster, log, jobs: new JobTable(database) };
};

const vault = VAULT as never as QueueDefinition<never>;
const payloadOf = (job: Job<never>) => job.payload as { card: string; how?: string };

describe('what a handler of an encrypted queue says', () => {
  it('appears nowhere in clear: not in results, steps, errors, progress, logs, dead letters, kept jobs, keys, schedules and events', async () => {
    const database = await testDatabase();
    const definition = defineQueue('vault', {
      encryption,
      maxAttempts: 2,
      deadLetter: 'dead',
      retention: { completedMs: HOUR, cancelledMs: HOUR },
      keyConcurrency: { key: ({ card }: { card: string }) => card, limit: 3 },
      schema: z.object({ card: z.string(), how: z.string().optional() }).loose(),
    });
    const queue = definition as never as QueueDefinition<never>;
    const handle = async (job: Job<never>) => {
      const { card, how } = payloadOf(job);
      job.progress({ charging: card });
      job.log(`charging ${card}`);
      expect(await job.step('charge', () => ({ charged: card }))).toEqual({ charged: card });
      await job.step('book', { transactional: true }, () => ({ booked: card }));
      switch (how) {
        case 'throw':
          throw new Error(`no such card: ${card}`, { cause: new TypeError(card) });
        case 'reject':
          return reject(`refused ${card}`);
        case 'sleep':
          await job.sleep(20);
          return card;
        case 'transaction':
          return job.transaction(async () => ({ receipt: card }));
        case undefined:
        default:
          return { receipt: card };
      }
    };
    const { taskmaster, log, jobs } = await working(database, queue, handle);
    const { publisher } = taskmaster;
    for (const how of ['return', 'throw', 'reject', 'sleep', 'transaction'])
      await publisher.enqueue(definition, { ...SECRET, how });
    const unique = { fields: ['card'] };
    await publisher.enqueue(definition, { ...SECRET, how: 'later' }, { delayMs: HOUR, unique });
    await publisher.enqueue(definition, { ...SECRET, how: 'again' }, { unique });
    await taskmaster.admin.schedules.upsert({
      name: 'yearly',
      cron: '@yearly',
      queue: 'vault',
      payload: SECRET,
    });
    await log.of('completed').count(3);
    await log.of('failed').count(2);
    await eventually(async () => (await jobs.all()).filter((job) => job.queue_name === 'dead').length === 2);
    const all = await tableDump(database);
    for (const table of ['jobs', 'finished', 'steps', 'schedules']) expect(all).toContain(`.${table}: `);
    expect(all).not.toContain(CANARY);
    const events = log.all.filter((event) => event.type !== 'progress');
    expect(JSON.stringify(events)).not.toContain(CANARY);
  });

  it('is told in clear to who reads jobs and asks for that, where the queue is known', async () => {
    const database = await testDatabase();
    const handle = (job: Job<never>) => {
      job.progress({ card: payloadOf(job).card });
      job.log(`charged ${payloadOf(job).card}`);
      return { receipt: payloadOf(job).card };
    };
    const { taskmaster, log } = await working(database, vault, handle, { retention: { completedMs: HOUR } });
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET);
    await log.of('completed').count(1);
    const stored = await taskmaster.admin.jobs.get(id);
    expect(JSON.stringify(stored)).not.toContain(CANARY);
    expect(stored).toMatchObject({ result: { $encrypted: { keyId: 'k1', queue: 'vault' } } });
    const clear = {
      payload: SECRET,
      result: { receipt: CANARY },
      progress: { card: CANARY },
      log: [`charged ${CANARY}`],
    };
    expect(await taskmaster.admin.jobs.get(id, { decrypt: true })).toMatchObject(clear);
    const { jobs } = await taskmaster.admin.jobs.list({}, { decrypt: true });
    expect(jobs).toMatchObject([clear]);
    const other = await openEngine(database);
    expect(await other.admin.jobs.get(id, { decrypt: true })).toEqual(stored);
  });

  it('is followed as progress by who watches and knows the queue, and by nobody else', async () => {
    const database = await testDatabase();
    const held = new SignalPoint();
    const { taskmaster } = await working(database, vault, async (job) => {
      job.progress({ card: payloadOf(job).card });
      held.signal();
    });
    const watching = (by: typeof taskmaster) => {
      const over = new AbortController();
      const seen = new SignalPoint<WatchedEvent>();
      const watched = (async () => {
        for await (const event of by.watch({ types: ['progress'] }, over.signal)) seen.signal(event);
      })();
      onTestFinished(async () => {
        over.abort();
        await watched;
      });
      return seen;
    };
    const [knowing, other] = [
      watching(await openEngine(database, { queues: [VAULT] })),
      watching(await openEngine(database)),
    ];
    await eventually(async () => {
      await taskmaster.publisher.enqueue(VAULT, SECRET);
      return knowing.values.length > 0 && other.values.length > 0;
    });
    expect(knowing.values[0]!.data).toMatchObject({ progress: { card: CANARY } });
    expect(other.values[0]!.data).toMatchObject({ progress: { $encrypted: { keyId: 'k1' } } });
    expect(await tableDump(database)).not.toContain(CANARY);
  });
});

describe('errors of an encrypted queue', () => {
  it('are stored with name, code and the place where they were thrown, and with the whole of them encrypted', async () => {
    const database = await testDatabase();
    const { taskmaster, jobs } = await working(
      database,
      vault,
      () => {
        throw Object.assign(new RangeError(`bad ${CANARY}\n    at ${CANARY} (${CANARY})`), {
          code: 'E_CARD',
        });
      },
      { maxAttempts: 1 },
    );
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET);
    const { last_error: error } = await jobs.in(id, 'failed');
    expect(error).toMatchObject({
      name: 'RangeError',
      code: 'E_CARD',
      message: 'What was thrown is encrypted, as the payloads of the queue are.',
      $encrypted: { keyId: 'k1' },
    });
    expect(error!.stack).toContain('encryption.spec.ts');
    expect(JSON.stringify(error)).not.toContain(CANARY);
    const record = await taskmaster.admin.jobs.get(id, { decrypt: true });
    expect(record!.lastError).toMatchObject({
      name: 'RangeError',
      message: expect.stringContaining(`bad ${CANARY}`),
    });
  });

  it('reach in clear who waits for the job and knows the queue', async () => {
    const database = await testDatabase();
    const { taskmaster } = await working(database, vault, (job) => reject(`refused ${payloadOf(job).card}`));
    const other = await openEngine(database);
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET);
    const knowing = await taskmaster.publisher.result(id).catch((error: unknown) => error);
    expect(knowing).toBeInstanceOf(JobFailedError);
    expect((knowing as JobFailedError).error!.message).toBe(`refused ${CANARY}`);
    const unknowing = await other.publisher.result(id).catch((error: unknown) => error);
    expect((unknowing as JobFailedError).error).toMatchObject({
      name: 'Reject',
      message: expect.stringContaining('is encrypted'),
    });
    const caller = await other.publisher.call(VAULT, SECRET).catch((error: unknown) => error);
    expect((caller as JobFailedError).error!.message).toBe(`refused ${CANARY}`);
  });

  it('are what rules for errors look at', async () => {
    const database = await testDatabase();
    const errors = [
      { match: (error: unknown) => (error as Error).message === CANARY, reject: true as const },
    ];
    const handle = () => {
      throw new Error(CANARY);
    };
    const { taskmaster, jobs } = await working(database, vault, handle, { errors });
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET);
    expect(await jobs.in(id, 'failed')).toMatchObject({ run_count: 1 });
  });

  it('are left out when they cannot be encrypted, and the job ends all the same', async () => {
    const database = await testDatabase();
    const forgetful = {
      ...encryption,
      encrypt: async (...[plain, context]: Parameters<typeof encryption.encrypt>) => {
        if (context.kind !== 'payload') throw new Error(`the key service is down, and saw ${CANARY}`);
        return encryption.encrypt(plain, context);
      },
    };
    const queue = defineQueue<never>('vault', { encryption: forgetful, maxAttempts: 1 });
    const { taskmaster, jobs } = await working(database, queue, (job) => {
      if (payloadOf(job).how === 'throw') throw new Error(CANARY);
      return CANARY;
    });
    const { id } = await taskmaster.publisher.enqueue('vault', { ...SECRET, how: 'throw' });
    expect((await jobs.in(id, 'failed')).last_error).not.toHaveProperty('$encrypted');
    expect(await taskmaster.publisher.call('vault', SECRET)).toEqual({
      notStored: 'It could not be encrypted.',
    });
    expect(await tableDump(database)).not.toContain(CANARY);
  });

  it('do not quote what decrypt() has answered with when it is no JSON', async () => {
    const database = await testDatabase();
    const broken = { ...encryption, decrypt: async () => new TextEncoder().encode(`x${CANARY}`) };
    const { taskmaster, jobs } = await working(
      database,
      defineQueue<never>('vault', { encryption: broken }),
      () => undefined,
      { maxAttempts: 1 },
    );
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET);
    expect(await jobs.in(id, 'failed')).toMatchObject({ last_error: { code: 'TM_PAYLOAD_ENCRYPTION' } });
    expect(await tableDump(database)).not.toContain(CANARY);
  });
});

describe('results of an encrypted queue', () => {
  it('are read by who knows the definition: call, result, and the children of a flow', async () => {
    const database = await testDatabase();
    const parents = new SignalPoint<unknown>();
    const { taskmaster } = await working(database, vault, (job) => ({ receipt: payloadOf(job).card }));
    taskmaster.register({
      queue: 'child',
      label: 'child',
      handle: async (_, job) => parents.signal((await job.parents()).map((parent) => parent.result)),
    });
    expect(await taskmaster.publisher.call(VAULT, SECRET)).toEqual({ receipt: CANARY });
    await taskmaster.publisher.flow((f) => {
      const first = f.add(VAULT, SECRET);
      f.add('child', {}, { dependsOn: [first] });
    });
    expect(await parents.count(1)).toEqual([[{ receipt: CANARY }]]);
    const other = await openEngine(database);
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET, { keepResult: true });
    await expect(other.publisher.result(id)).rejects.toThrow(PayloadEncryptionError);
    const knowing = await openEngine(database, { queues: [VAULT] });
    expect(await knowing.publisher.result(id)).toEqual({ receipt: CANARY });
    expect(await other.publisher.call(VAULT, SECRET)).toEqual({ receipt: CANARY });
  });

  it('are those of transactional handlers and of batches too', async () => {
    const database = await testDatabase();
    const { taskmaster } = await working(database, vault, (job) => payloadOf(job).card, {
      transactional: true,
    });
    const batched = defineQueue<{ card: string }>('batched', { encryption });
    taskmaster.register({
      queue: batched,
      label: 'batched',
      batch: { size: 2 },
      handleBatch: (payloads: { card: string }[]) => payloads.map(({ card }) => ({ card })),
    });
    expect(await taskmaster.publisher.call(VAULT, SECRET)).toBe(CANARY);
    expect(await taskmaster.publisher.call(batched, SECRET)).toEqual({ card: CANARY });
    expect(await tableDump(database)).not.toContain(CANARY);
  });

  it('that were moved to where a payload is read are found out', async () => {
    const database = await testDatabase();
    const { taskmaster, jobs } = await working(database, vault, () => SECRET, { maxAttempts: 1 });
    const { id } = await taskmaster.publisher.enqueue(VAULT, SECRET, { keepResult: true });
    await taskmaster.publisher.result(id);
    const moved = await database.query<{ id: string }>(
      `insert into ${jobs.schema}.jobs (queue_name, payload) select 'vault', result from ${jobs.schema}.finished where id = $1 returning id`,
      [id],
    );
    const failed = await jobs.in(moved[0]!.id, 'failed');
    expect(failed).toMatchObject({ last_error: { code: 'TM_PAYLOAD_ENCRYPTION' } });
  });
});

describe('steps of an encrypted queue', () => {
  it('are remembered over attempts', async () => {
    const database = await testDatabase();
    let charges = 0;
    const seen = new SignalPoint<unknown>();
    const { taskmaster } = await working(database, vault, async (job) => {
      const charge = await job.step('charge', () => ({ n: ++charges }));
      const booked = await job.step('book', { transactional: true }, () => CANARY);
      const nothing = await job.step('nothing', () => undefined);
      if (job.runCount === 1) throw new Error('again');
      seen.signal([charge, booked, nothing]);
    });
    await taskmaster.publisher.enqueue(VAULT, SECRET);
    expect(await seen.count(1)).toEqual([[{ n: 1 }, CANARY, undefined]]);
  });
});

describe('keys made of an encrypted payload', () => {
  it('are hashes that tell jobs apart as the values do, whatever the order of fields', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const queue = defineQueue<object>('vault', { encryption });
    const unique = { fields: ['owner', 'card'] };
    const first = await publisher.enqueue(queue, { owner: { a: 1, b: CANARY }, n: 1 }, { unique });
    const same = await publisher.enqueue(queue, { owner: { b: CANARY, a: 1 }, n: 2 }, { unique });
    expect(same).toEqual({ ...first, deduplicated: true });
    const others = await publisher.enqueueMany(queue, [{ owner: CANARY }, { owner: CANARY, card: 1 }], {
      unique,
    });
    expect(others.map((job) => job.deduplicated)).toEqual([false, false]);
    const record = await openEngine(database).then((known) => known.admin.jobs.get(first.id));
    expect(record!.uniqueKey).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await tableDump(database)).not.toContain(CANARY);
  });

  it('limit as many at once as the keys in clear, and are asked for their limit in clear', async () => {
    const database = await testDatabase();
    const asked: string[] = [];
    const limit = (key: string) => {
      asked.push(key);
      return 1;
    };
    const queue = defineQueue<{ card: string }>('vault', {
      encryption,
      keyConcurrency: { key: ({ card }: { card: string }) => card, limit },
    });
    const started = new SignalPoint<string>();
    const ends = new SignalPoint();
    const held = ends.count(1);
    const { taskmaster } = await working(database, queue as never, async (job) => {
      started.signal(payloadOf(job).card);
      await held;
    });
    await taskmaster.publisher.enqueueMany(queue, [{ card: CANARY }, { card: CANARY }, { card: 'other' }]);
    expect([...(await started.count(2))].toSorted()).toEqual([CANARY, 'other']);
    expect(asked).toEqual([CANARY, CANARY, 'other']);
    expect(await tableDump(database)).not.toContain(CANARY);
    ends.signal();
    await started.count(3);
  });
});

describe('a schedule whose queue is given by its name', () => {
  it('stores what is encrypted and of the version that is known here, and does not store it anew at each start', async () => {
    const database = await testDatabase();
    const options = {
      encryption,
      version: 2,
      upcasters: { 1: () => ({ card: 'of version 1' }) },
    };
    const seen = new SignalPoint<unknown>();
    const start = async () => {
      const taskmaster = engine(database);
      taskmaster.schedule({ name: 'vault', cron: '@yearly', payload: SECRET });
      taskmaster.register({
        queue: 'vault',
        label: 'vault',
        options,
        handle: (payload) => seen.signal(payload),
      });
      await taskmaster.start();
      await eventually(async () => (await taskmaster.admin.schedules.get('vault')) !== undefined);
      return taskmaster;
    };
    const first = await start();
    await first.admin.schedules.trigger('vault');
    expect(await seen.count(1)).toEqual([SECRET]);
    const stored = await database.query(`select payload from "${database.schema}".schedules`);
    expect(JSON.stringify(stored)).not.toContain(CANARY);
    await first.stop();
    const second = await start();
    await second.admin.schedules.trigger('vault');
    await seen.count(2);
    expect(await database.query(`select payload from "${database.schema}".schedules`)).toEqual(stored);
    await second.admin.schedules.upsert({ name: 'other', cron: '@yearly', queue: 'vault', payload: SECRET });
    await second.admin.schedules.trigger('other');
    expect((await seen.count(3))[2]).toEqual(SECRET);
    expect(await tableDump(database)).not.toContain(CANARY);
  });
});

describe('a former name of an encrypted queue', () => {
  it('is encrypted and read where the definition is known', async () => {
    const database = await testDatabase();
    const queue = defineQueue<never>('vault', { encryption, aliases: ['safe'] });
    const { publisher } = await openEngine(database, { queues: [queue] });
    const { id } = await publisher.enqueue('safe', SECRET, { keepResult: true });
    expect(await tableDump(database)).not.toContain(CANARY);
    await working(database, queue, (job) => payloadOf(job).card);
    expect(await publisher.result(id)).toBe(CANARY);
  });
});
