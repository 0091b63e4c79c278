import { describe, expect, it } from 'vitest';
import { InvalidOptionsError, TaskmasterError } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const MIB = 1_048_576;
const NASTY = 'a\0b\ud800c';

const setup = async () => {
  const database = await testDatabase();
  return {
    database,
    ...(await workingEngine(database, { mail: () => NASTY })),
    jobs: new JobTable(database),
  };
};

/** What a call throws; it must be one of ours. */
const refusal = async (call: () => unknown): Promise<TaskmasterError> => {
  const error: unknown = await Promise.resolve()
    .then(call)
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TaskmasterError);
  return error as TaskmasterError;
};

describe('a huge payload', () => {
  it.each([
    ['one text of 50 MB', () => 'x'.repeat(50 * MIB)],
    ['texts of 300 MB', () => Array.from({ length: 300 }, (_, n) => String(n).padEnd(MIB, 'x'))],
    ['ten million numbers', () => Array.from({ length: 10_000_000 }, (_, n) => n)],
  ])('is refused before any SQL, and costs less than a copy of it: %s', async (_what, make) => {
    const { taskmaster, jobs } = await setup();
    const payload = make();
    const before = process.memoryUsage().rss;
    expect(await refusal(() => taskmaster.publisher.enqueue('mail', payload))).toMatchObject({
      code: 'TM_PAYLOAD_TOO_LARGE',
      limitBytes: MIB,
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * MIB);
    expect(await jobs.all()).toEqual([]);
  });
});

describe('NUL and half a surrogate pair', () => {
  it.each<[string, object]>([
    ['a group', { group: NASTY }],
    ['a unique key', { unique: { key: NASTY } }],
    ['the path of a unique field', { unique: { fields: [NASTY] } }],
    ['a tag', { tags: [NASTY] }],
    ['the name of a header', { headers: { [NASTY]: 'a' } }],
    ['the value of a header', { headers: { a: NASTY } }],
  ])('are refused in %s', async (_what, options) => {
    const { publisher } = await openEngine(await testDatabase());
    expect(await refusal(() => publisher.enqueue('mail', {}, options))).toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });

  it.each(['value', 'key'])('are refused in a payload, as a %s, with its path', async (where) => {
    const { publisher } = await openEngine(await testDatabase());
    const payload = { deep: where === 'key' ? { [NASTY]: 1 } : { x: NASTY } };
    const error = await refusal(() => publisher.enqueue('mail', payload));
    expect(error).toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: expect.stringContaining('payload.deep'),
    });
  });

  it('in a result do not fail the job that has returned it', async () => {
    const { taskmaster, log, jobs } = await setup();
    const { id } = await taskmaster.publisher.enqueue('mail', {}, { keepResult: true });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
    await jobs.empty();
  });
});

describe('names and expressions without end', () => {
  const LONG = 'a'.repeat(MIB);

  it('are refused at once, with messages that people can read', async () => {
    const { taskmaster } = await setup();
    const { publisher, admin } = taskmaster;
    const calls = [
      () => publisher.enqueue(LONG),
      () => publisher.enqueue('mail', {}, { group: LONG }),
      () => publisher.enqueue('mail', {}, { unique: { key: LONG } }),
      () => publisher.emit(LONG),
      () => admin.queues.pause('mail', { reason: LONG }),
      () => admin.jobs.list({ queue: LONG }),
      () => admin.schedules.upsert({ name: 'a', cron: '*,'.repeat(MIB / 2), queue: 'mail' }),
      () =>
        admin.schedules.upsert({
          name: 'a',
          cron: `${'0,'.repeat(100)}0 * * * *${' '.repeat(MIB)}`,
          queue: 'mail',
        }),
      () => admin.schedules.upsert({ name: 'a', cron: '0 0 * * *', timezone: LONG, queue: 'mail' }),
      () => admin.schedules.upsert({ name: LONG, cron: '0 0 * * *', queue: 'mail' }),
      () => taskmaster.register({ queue: LONG, label: 'long', handle: () => undefined }),
    ];
    const startedAt = performance.now();
    for (const call of calls) expect((await refusal(call)).message.length).toBeLessThan(2_000);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('tables that are not there', () => {
  it('make calls fail with what to do, and a later migration mends it', async () => {
    const database = await testDatabase({ migrated: false });
    const taskmaster = await openEngine(database, { migrations: 'off' });
    const error = await refusal(() => taskmaster.publisher.enqueue('mail'));
    expect(error).toMatchObject({ code: 'TM_DATABASE', sqlState: '42P01' });
    expect(error.message).toContain(`Start once with migrations: 'run'.`);
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    expect((await refusal(() => taskmaster.start())).message).toContain(`migrations: 'run'`);
    await openEngine(database);
    await taskmaster.start();
    await taskmaster.publisher.enqueue('mail');
    await new JobTable(database).empty();
  });
});

describe('numbers that are none', () => {
  it.each([0, -1, Number.NaN, 1.5, Infinity, '5', 1e9, null, true])(
    'are refused as a concurrency: %j',
    async (value) => {
      const taskmaster = engine(await testDatabase());
      const options = { concurrency: value as number };
      const error = await refusal(() =>
        taskmaster.register({ queue: 'mail', label: 'mail', options, handle: () => undefined }),
      );
      expect(error).toBeInstanceOf(InvalidOptionsError);
      expect(error.message).toMatch(/concurrency: expected an integer from 1 to 10000/);
    },
  );
});
