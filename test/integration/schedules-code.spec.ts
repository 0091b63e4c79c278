import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineQueue, type ScheduleDefinition, type Taskmaster } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { ScheduleTable } from './support/schedule-table.js';
import { idleEngine } from './support/working-engine.js';

const MINUTE = 60_000;
const V1: ScheduleDefinition = { name: 'digest', cron: '0 2 * * *', payload: { version: 1 } };
const V2: ScheduleDefinition = { name: 'digest', cron: '0 3 * * *', payload: { version: 2 } };

const setup = async () => {
  const database = await testDatabase();
  const admin = (await openEngine(database, { consume: false })).admin.schedules;
  /** A process of an application whose code defines these schedules. */
  const process = async (...definitions: ScheduleDefinition[]): Promise<Taskmaster> => {
    const { taskmaster } = idleEngine(database, { digest: () => undefined });
    for (const definition of definitions) taskmaster.schedule(definition);
    await taskmaster.start();
    return taskmaster;
  };
  return { admin, database, process, table: new ScheduleTable(database) };
};

/** Longer than the time after which nobody defines a schedule any more. */
const ORPHANED_MS = 6 * MINUTE;

describe('a schedule of the code', () => {
  it('is stored when a process starts to work', async () => {
    const { admin, process } = await setup();
    await process(V1);
    expect(await admin.get('digest')).toMatchObject({
      owner: 'code',
      queue: 'digest',
      cron: '0 2 * * *',
      payload: { version: 1 },
      edited: false,
      orphaned: false,
    });
    await eventually(async () => (await admin.get('digest'))?.nextRunAt !== undefined);
  });

  it('is not stored by a process that works on nothing', async () => {
    const { admin, database } = await setup();
    const { taskmaster } = idleEngine(database, { digest: () => undefined }, { consume: false });
    taskmaster.schedule(V1);
    await taskmaster.start();
    expect(await admin.list()).toEqual([]);
  });

  it('is stored also when it is defined while running', async () => {
    const { admin, process } = await setup();
    const taskmaster = await process();
    taskmaster.schedule(V1);
    await eventually(async () => (await admin.get('digest'))?.owner === 'code');
  });

  it('takes over one of that name that was made at run time', async () => {
    const { admin, process } = await setup();
    await admin.upsert({ ...V2, name: 'digest' });
    await process(V1);
    expect(await admin.get('digest')).toMatchObject({ owner: 'code', payload: { version: 1 } });
  });

  it('keeps what was changed at run time, and its pause, over a restart', async () => {
    const { admin, process } = await setup();
    const first = await process(V1);
    await admin.upsert({ ...V1, cron: '30 4 * * *' });
    await admin.pause('digest', { reason: 'holidays' });
    await first.close();
    await process(V1);
    expect(await admin.get('digest')).toMatchObject({
      owner: 'code',
      cron: '30 4 * * *',
      edited: true,
      pauseReason: 'holidays',
    });
  });

  it('is what the code says when that has changed, edited and paused or not', async () => {
    const { admin, process } = await setup();
    const first = await process(V1);
    await admin.upsert({ ...V1, cron: '30 4 * * *' });
    await admin.pause('digest');
    await first.close();
    await process(V2);
    expect(await admin.get('digest')).toMatchObject({
      cron: '0 3 * * *',
      payload: { version: 2 },
      edited: false,
      pausedAt: undefined,
    });
  });

  it('loses no due time by a deployment that changes it', async () => {
    const { admin, process, table } = await setup();
    const first = await process(V1);
    await first.close();
    const due = await table.dueIn('digest', -5_000);
    await process(V2);
    await eventually(async () => (await admin.get('digest'))?.lastDueAt !== undefined);
    expect(await admin.get('digest')).toMatchObject({ lastDueAt: due });
    expect(await admin.get('digest')).toMatchObject({ cron: '0 3 * * *' });
  });

  it('comes back when it is deleted while its code runs', async () => {
    const { admin, process } = await setup();
    const taskmaster = await process(V1);
    await admin.delete('digest');
    taskmaster.schedule({ name: 'other', everyMs: MINUTE }); // what confirms the definitions, which happens every minute otherwise
    await eventually(async () => (await admin.get('digest')) !== undefined);
  });
});

describe('two versions of an application', () => {
  it('run by the definition of the one that started last', async () => {
    const { admin, process } = await setup();
    await process(V1);
    const second = await process(V2);
    expect(await admin.get('digest')).toMatchObject({ payload: { version: 2 } });
    await second.close();
    await process(V1);
    expect(await admin.get('digest')).toMatchObject({ payload: { version: 1 } });
  });

  it('end up with that of the one that stays, whichever started last', async () => {
    const { admin, process, table } = await setup();
    const stays = await process(V2);
    const goes = await process(V1);
    await goes.close();
    stays.schedule({ name: 'a', everyMs: MINUTE }); // confirms
    await eventually(async () => (await admin.get('a')) !== undefined);
    expect(await admin.get('digest')).toMatchObject({ payload: { version: 1 } });
    await table.pass('digest', ORPHANED_MS);
    stays.schedule({ name: 'b', everyMs: MINUTE });
    await eventually(async () => (await admin.get('digest'))?.cron === '0 3 * * *');
  });

  it('store each of their schedules when they start together', async () => {
    const { admin, process } = await setup();
    const names = Array.from({ length: 30 }, (_, index) => `s${index}`);
    const definitions = (version: number) =>
      names.map((name) => ({ name, everyMs: MINUTE, payload: { version } }));
    await Promise.all([1, 2, 2, 1].map((version) => process(...definitions(version).toReversed())));
    const stored = await admin.list();
    expect(stored).toHaveLength(30);
    expect(new Set(stored.map(({ payload }) => JSON.stringify(payload))).size).toBe(1);
  });
});

describe('a schedule that no code defines any more', () => {
  it('is an orphan: it is listed as such and does not fire', async () => {
    const { admin, process, table } = await setup();
    const old = await process(V1);
    await old.close();
    await process();
    await table.pass('digest', ORPHANED_MS);
    await table.dueIn('digest', -1_000);
    await admin.upsert({ name: 'other', queue: 'digest', everyMs: MINUTE });
    const due = await table.dueIn('other', 0);
    await eventually(async () => (await admin.get('other'))?.lastDueAt?.getTime() === due.getTime());
    expect(await admin.get('digest')).toMatchObject({ orphaned: true, lastDueAt: undefined });
    expect(await admin.delete('digest')).toBe(true);
  });

  it('fires again, for what it has missed too, when code defines it again', async () => {
    const { admin, process, table } = await setup();
    const old = await process(V1);
    await old.close();
    await table.pass('digest', ORPHANED_MS);
    const due = await table.dueIn('digest', -MINUTE);
    expect(await admin.get('digest')).toMatchObject({ orphaned: true });
    await process(V1);
    await eventually(async () => (await admin.get('digest'))?.lastDueAt?.getTime() === due.getTime());
    expect(await admin.get('digest')).toMatchObject({ orphaned: false });
  });
});

describe('a wrong definition in code', () => {
  it('is refused when it is given', async () => {
    const { database } = await setup();
    const { taskmaster } = idleEngine(database, {});
    expect(() => taskmaster.schedule({ name: 'a', cron: 'x' }, '@Scheduled() A.b')).toThrow(
      expect.objectContaining({ code: 'TM_INVALID_OPTIONS', subject: '@Scheduled() A.b' }),
    );
    taskmaster.schedule(V1, '@Scheduled() A.b');
    expect(() => taskmaster.schedule(V2)).toThrow(
      expect.objectContaining({
        code: 'TM_DUPLICATE_SCHEDULE',
        schedule: 'digest',
        first: '@Scheduled() A.b',
      }),
    );
  });

  it('stops the start when its payload is not what the queue takes', async () => {
    const { admin, database } = await setup();
    const queue = defineQueue('digest', { schema: z.object({ n: z.number() }) });
    const { taskmaster } = idleEngine(database, { digest: () => undefined });
    taskmaster.schedule(
      { name: 'digest', everyMs: MINUTE, queue, payload: { n: 'one' } },
      '@Scheduled() A.b',
    );
    await expect(taskmaster.start()).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      subject: '@Scheduled() A.b',
      problems: [expect.stringMatching(/^payload\.n: /)],
    });
    expect(await admin.list()).toEqual([]);
  });

  it('is reported when it is given while running, and stops no other', async () => {
    const { admin, process } = await setup();
    const taskmaster = await process();
    const queue = defineQueue('digest', { schema: z.object({ n: z.number() }) });
    const warned = new Promise<string>((resolve) =>
      taskmaster.events.subscribe((event) => event.type === 'engineWarning' && resolve(event.message)),
    );
    taskmaster.schedule({ name: 'bad', everyMs: MINUTE, queue, payload: {} });
    taskmaster.schedule({ name: 'good', everyMs: MINUTE });
    expect(await warned).toContain('payload.n');
    await eventually(async () => (await admin.get('good')) !== undefined);
    expect(await admin.get('bad')).toBeUndefined();
  });
});
