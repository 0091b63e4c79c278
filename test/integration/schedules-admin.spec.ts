import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineQueue, type ScheduleDefinition } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { EventLog } from './support/event-log.js';
import { ScheduleTable } from './support/schedule-table.js';

const setup = async () => {
  const database = await testDatabase();
  const taskmaster = await openEngine(database, { consume: false });
  return {
    database,
    taskmaster,
    log: new EventLog(taskmaster.events),
    schedules: taskmaster.admin.schedules,
    table: new ScheduleTable(database),
  };
};

const DIGEST = { name: 'digest', cron: '0 2 * * *' };

describe('schedules.upsert()', () => {
  it('stores a schedule with its defaults, and plans it', async () => {
    const { schedules } = await setup();
    const stored = await schedules.upsert(DIGEST);
    expect(stored).toEqual({
      name: 'digest',
      queue: 'digest',
      cron: '0 2 * * *',
      everyMs: undefined,
      timezone: 'UTC',
      payload: {},
      options: {},
      missed: 'once',
      overlap: 'allow',
      owner: 'runtime',
      edited: false,
      orphaned: false,
      pausedAt: undefined,
      pauseReason: undefined,
      nextRunAt: expect.any(Date),
      lastDueAt: undefined,
      lastRunAt: undefined,
      lastJobId: undefined,
      problem: undefined,
    });
    expect(stored.nextRunAt!.toISOString()).toMatch(/T02:00:00\.000Z$/);
    expect(await schedules.get('digest')).toEqual(stored);
  });

  it('stores every option', async () => {
    const { schedules } = await setup();
    const stored = await schedules.upsert({
      name: 'digest',
      everyMs: 90_000,
      queue: 'mail',
      timezone: 'Europe/Berlin',
      payload: { to: ['a'] },
      missed: 'all',
      overlap: 'queue',
      priority: -3,
      maxAttempts: 2,
      backoff: [1, 2],
      timeoutMs: Infinity,
      tags: ['t'],
      headers: { h: 'v' },
    });
    expect(stored).toMatchObject({
      queue: 'mail',
      cron: undefined,
      everyMs: 90_000,
      timezone: 'Europe/Berlin',
      payload: { to: ['a'] },
      missed: 'all',
      overlap: 'queue',
      options: {
        priority: -3,
        maxAttempts: 2,
        backoff: [1, 2],
        timeoutMs: 'Infinity',
        tags: ['t'],
        headers: { h: 'v' },
      },
    });
  });

  it('replaces the whole definition, and plans another timing anew', async () => {
    const { schedules } = await setup();
    await schedules.upsert({ ...DIGEST, payload: { n: 1 }, overlap: 'skip' });
    const { nextRunAt } = await schedules.upsert({ ...DIGEST, payload: { n: 2 } });
    expect(await schedules.get('digest')).toMatchObject({ payload: { n: 2 }, overlap: 'allow', nextRunAt });
    const changed = await schedules.upsert({ name: 'digest', cron: '0 5 * * *', timezone: 'Asia/Kolkata' });
    expect(changed.nextRunAt!.toISOString()).toMatch(/T23:30:00\.000Z$/);
    expect((await schedules.list()).map(({ name }) => name)).toEqual(['digest']);
  });

  it('begins another interval when it is stored', async () => {
    const { schedules, table } = await setup();
    const first = await schedules.upsert({ name: 'poll', everyMs: 60_000 });
    await table.pass('poll', 30_000);
    const same = await schedules.upsert({ name: 'poll', everyMs: 60_000, payload: { n: 1 } });
    expect(same.nextRunAt!.getTime() - first.nextRunAt!.getTime()).toBe(-30_000);
    const other = await schedules.upsert({ name: 'poll', everyMs: 120_000 });
    expect(other.nextRunAt!.getTime() - first.nextRunAt!.getTime()).toBeGreaterThanOrEqual(60_000);
  });

  it('leaves a due time that has passed unfired, whatever else it changes', async () => {
    const { schedules, table } = await setup();
    await schedules.upsert(DIGEST);
    const due = await table.dueIn('digest', -1_000);
    expect(await schedules.upsert({ ...DIGEST, cron: '0 5 * * *' })).toMatchObject({ nextRunAt: due });
  });

  it.each([
    [{ cron: '* * * * *' }, /name: expected a name/],
    [{ name: '', cron: '* * * * *' }, /name: expected a name/],
    [{ name: 'a' }, /cron, everyMs: expected one of them/],
    [{ name: 'a', cron: '* * * * *', everyMs: 1_000 }, /cron, everyMs: expected one of them/],
    [
      { name: 'a', cron: '61 * * * *' },
      /cron: expected an expression .* got "61 \* \* \* \*": Invalid value for minute/,
    ],
    [{ name: 'a', cron: '0 0 31 2 *' }, /it is never due/],
    [{ name: 'a', cron: `${'0,'.repeat(200)}0 * * * *` }, /at most 256 characters/],
    [{ name: 'a', everyMs: 999 }, /everyMs: expected an integer from 1000/],
    [{ name: 'a', everyMs: 1_000, timezone: 'Mars/Olympus' }, /timezone: expected the name of a time zone/],
    [{ name: 'a', everyMs: 1_000, missed: 'never' }, /missed: expected 'skip' or 'once' or 'all'/],
    [{ name: 'a', everyMs: 1_000, overlap: 'wait' }, /overlap: expected 'allow' or 'skip' or 'queue'/],
    [{ name: 'a', everyMs: 1_000, queue: '' }, /queue: expected a queue name/],
    [{ name: 'a', everyMs: 1_000, maxAttempts: 0 }, /maxAttempts: expected an integer/],
    [{ name: 'a', everyMs: 1_000, timeZone: 'UTC' }, /timeZone: unknown option, did you mean "timezone"/],
    [{ name: 'a', everyMs: 1_000, delayMs: 5 }, /delayMs: unknown option/],
    ['nightly', /expected an object/],
  ])('refuses %j', async (definition, reason) => {
    const { schedules } = await setup();
    await expect(schedules.upsert(definition as unknown as ScheduleDefinition)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      message: expect.stringMatching(reason),
    });
    expect(await schedules.list()).toEqual([]);
  });

  it('refuses a payload that its queue, or JSON, does not take', async () => {
    const { schedules } = await setup();
    const queue = defineQueue('mail', { schema: z.object({ to: z.string() }) });
    const refused = { code: 'TM_INVALID_PAYLOAD', path: 'payload.to' };
    // @ts-expect-error -- the payload's type is checked too
    await expect(schedules.upsert({ ...DIGEST, queue, payload: { to: 1 } })).rejects.toMatchObject(refused);
    await expect(schedules.upsert({ ...DIGEST, payload: { to: 1n } })).rejects.toMatchObject(refused);
    expect(await schedules.upsert({ ...DIGEST, queue, payload: { to: 'a' } })).toMatchObject({
      queue: 'mail',
    });
    await expect(schedules.upsert({ ...DIGEST, queue })).rejects.toMatchObject(refused);
    const optional = defineQueue('news', { schema: z.object({ to: z.string().optional() }) });
    expect(await schedules.upsert({ ...DIGEST, queue: optional })).toMatchObject({ payload: {} });
  });
});

describe('schedules.list() and get()', () => {
  it('tell of schedules by name, by queue and by page', async () => {
    const { schedules } = await setup();
    for (const [name, queue] of [
      ['b', 'x'],
      ['a', 'y'],
      ['c', 'x'],
      ['d', 'x'],
    ] as const)
      await schedules.upsert({ name, queue, everyMs: 60_000 });
    const names = async (...filter: Parameters<typeof schedules.list>) =>
      (await schedules.list(...filter)).map(({ name }) => name).join('');
    expect(await names()).toBe('abcd');
    expect(await names({ queue: 'x' })).toBe('bcd');
    expect(await names({ queue: 'x', limit: 2 })).toBe('bc');
    expect(await names({ queue: 'x', limit: 2, after: 'c' })).toBe('d');
    expect(await schedules.get('e')).toBeUndefined();
    await expect(schedules.list({ limit: 0 })).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('schedules.pause() and resume()', () => {
  it('stop a schedule, and let it go on from then on', async () => {
    const { schedules, table } = await setup();
    const { nextRunAt } = await schedules.upsert(DIGEST);
    expect(await schedules.pause('digest', { reason: 'too many' })).toMatchObject({
      pausedAt: expect.any(Date),
      pauseReason: 'too many',
      nextRunAt: undefined,
    });
    await table.pass('digest', 7 * 86_400_000);
    expect(await schedules.resume('digest')).toMatchObject({
      pausedAt: undefined,
      pauseReason: undefined,
      nextRunAt,
    });
  });

  it('keep the time of the first pause, and outlast another definition', async () => {
    const { schedules } = await setup();
    await schedules.upsert(DIGEST);
    const { pausedAt } = await schedules.pause('digest');
    await schedules.pause('digest', { reason: 'still' });
    expect(await schedules.upsert({ ...DIGEST, cron: '0 5 * * *' })).toMatchObject({
      pausedAt,
      pauseReason: 'still',
      nextRunAt: undefined,
    });
  });
});

describe('schedules.trigger()', () => {
  it('fires at once, also while paused, and changes nothing of what is due when', async () => {
    const { log, schedules, table } = await setup();
    const { nextRunAt } = await schedules.upsert({
      ...DIGEST,
      queue: 'mail',
      payload: { n: 1 },
      priority: 4,
      maxAttempts: 1,
      tags: ['t'],
    });
    const before = Date.now();
    const id = await schedules.trigger('digest');
    const [job] = await table.jobs();
    expect(job).toMatchObject({
      id,
      queue: 'mail',
      payload: { n: 1 },
      priority: 4,
      maxAttempts: 1,
      state: 'ready',
      meta: { schedule: 'digest', tags: ['t'] },
    });
    expect(Math.abs(job!.scheduledFor.getTime() - before)).toBeLessThan(10_000);
    expect(await schedules.get('digest')).toMatchObject({ nextRunAt, lastDueAt: undefined, lastJobId: id });
    expect(log.all.map(({ type }) => type)).toEqual(['enqueued', 'scheduleFired']);
    await schedules.pause('digest');
    expect(await schedules.trigger('digest')).not.toBe(id);
  });

  it('is also a function of SQL', async () => {
    const { database, schedules, table } = await setup();
    await schedules.upsert(DIGEST);
    const [row] = await database.query(`select ${table.schema}.trigger_schedule('digest') as id`);
    expect(await table.jobs()).toMatchObject([{ id: row!['id'], schedule: 'digest' }]);
  });
});

describe('schedules.preview()', () => {
  const from = new Date('2026-03-28T00:00:00Z');

  it('tells when a schedule is due, paused or not', async () => {
    const { schedules } = await setup();
    await schedules.upsert({ ...DIGEST, timezone: 'Europe/Berlin' });
    await schedules.pause('digest');
    expect(await schedules.preview('digest', { from, count: 3 })).toEqual([
      new Date('2026-03-28T01:00:00Z'),
      new Date('2026-03-29T01:00:00Z'),
      new Date('2026-03-30T00:00:00Z'),
    ]);
    const next = await schedules.preview('digest');
    expect(next).toHaveLength(5);
    expect(next[0]!.getTime()).toBeGreaterThan(Date.now() - 1_000);
  });

  it('tells the same of a definition that is not stored', async () => {
    const { schedules } = await setup();
    expect(await schedules.preview({ name: 'x', cron: '0 0 1 1 *' }, { from, count: 2 })).toEqual([
      new Date('2027-01-01T00:00:00Z'),
      new Date('2028-01-01T00:00:00Z'),
    ]);
    const [first, second] = await schedules.preview({ name: 'x', everyMs: 5_000 });
    expect(second!.getTime() - first!.getTime()).toBe(5_000);
    expect(await schedules.list()).toEqual([]);
    await expect(schedules.preview({ name: 'x', cron: 'no' })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
    await expect(schedules.preview('x', { count: 1_001 })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });
});

describe('schedules.delete()', () => {
  it('removes a schedule and leaves its jobs', async () => {
    const { schedules, table } = await setup();
    await schedules.upsert(DIGEST);
    const id = await schedules.trigger('digest');
    expect(await schedules.delete('digest')).toBe(true);
    expect(await schedules.delete('digest')).toBe(false);
    expect(await schedules.list()).toEqual([]);
    expect(await table.jobs()).toMatchObject([{ id }]);
  });
});

describe('a schedule that does not exist', () => {
  it.each(['pause', 'resume', 'trigger', 'preview'] as const)(
    'is refused by schedules.%s()',
    async (method) => {
      const { schedules } = await setup();
      await expect(schedules[method]('nightly')).rejects.toMatchObject({
        code: 'TM_UNKNOWN_SCHEDULE',
        schedule: 'nightly',
      });
    },
  );
});

describe('the admin', () => {
  it('opens the engine when that has not happened', async () => {
    const database = await testDatabase({ migrated: false });

    expect(await engine(database).admin.schedules.list()).toEqual([]);
  });

  it('rejects with TM_CLOSED when the engine is closed, and with TM_DATABASE_UNREACHABLE when there is no database', async () => {
    const { taskmaster, schedules } = await setup();
    await taskmaster.close();
    await expect(schedules.list()).rejects.toMatchObject({ code: 'TM_CLOSED' });

    const nowhere = engine(await testDatabase(), {
      connection: { host: '127.0.0.1', port: 1, user: 'u', database: 'd' },
      connectTimeoutMs: 300,
    });
    await expect(nowhere.admin.schedules.list()).rejects.toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
  });
});
