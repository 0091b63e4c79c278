import { describe, expect, it } from 'vitest';
import { reject, retry, snooze } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** An engine that has handled jobs, and has stopped: its numbers are stored. */
const worked = async () => {
  const database = await testDatabase();
  const { taskmaster, log } = await workingEngine(database, {
    mail: (job) => {
      const { end } = job.payload as { end: string };
      if (end === 'fail') throw reject(new Error('no'));
      if (end === 'retry') return retry({ delayMs: 3_600_000 });
      if (end === 'snooze') return snooze(3_600_000);
      return 'done';
    },
    other: () => undefined,
  });
  const ends = ['ack', 'ack', 'ack', 'fail', 'fail', 'retry', 'snooze'];
  await taskmaster.publisher.enqueueMany(
    'mail',
    ends.map((end) => ({ end })),
  );
  await taskmaster.publisher.enqueue('other', {});
  await log.of('completed').count(4);
  await log.of('failed').count(2);
  await log.of('retried').count(1);
  await log.of('snoozed').count(1);
  await taskmaster.stop();
  return { database, taskmaster, admin: taskmaster.admin };
};

describe('stats', () => {
  it('count what has become of jobs, by the queue', async () => {
    const { admin } = await worked();
    const overview = await admin.stats.overview();
    expect(overview.lastDay).toEqual({ completed: 4, failed: 2, retried: 1, cancelled: 0 });
    expect(overview.lastHour).toEqual(overview.lastDay);
    const [mail, other] = overview.queues;
    expect(mail).toMatchObject({ queue: 'mail', failed: 2, scheduled: 2, retrying: 1, ready: 0 });
    expect(mail?.lastDay).toEqual({ completed: 3, failed: 2, retried: 1, cancelled: 0 });
    expect(mail?.minutes.reduce((sum, each) => sum + each, 0)).toBe(5);
    expect(other).toMatchObject({ queue: 'other', lastDay: { completed: 1 } });
  });

  it('keep waiting and running times apart', async () => {
    const { admin } = await worked();
    const points = await admin.stats.series({ queue: 'mail' });
    const counted = points.filter((point) => point.wait.p50 !== undefined);
    expect(counted.reduce((sum, point) => sum + point.completed + point.failed + point.retried, 0)).toBe(6);
    expect(counted.every(({ run }) => run.p50! > 0 && run.p50! <= run.p95! && run.p95! <= run.p99!)).toBe(
      true,
    );
  });

  it('are of all queues together, or of one', async () => {
    const { admin } = await worked();
    const total = async (queue?: string) => {
      const points = await admin.stats.series({
        stepMs: 3_600_000,
        ...(queue === undefined ? {} : { queue }),
      });
      return points.reduce((sum, point) => sum + point.completed, 0);
    };
    expect([await total(), await total('mail'), await total('other'), await total('none')]).toEqual([
      4, 3, 1, 0,
    ]);
  });

  it('of two processes add up', async () => {
    const { database, admin } = await worked();
    const { taskmaster, log } = await workingEngine(database, { mail: () => undefined });
    await taskmaster.publisher.enqueueMany('mail', [{}, {}]);
    await log.of('completed').count(2);
    await taskmaster.stop();
    expect((await admin.stats.overview()).lastDay).toMatchObject({ completed: 6, failed: 2 });
  });

  it('of old times are kept by the hour', async () => {
    const { admin, database } = await worked();
    const { schema } = new JobTable(database);
    await database.query(`update ${schema}.stats set at = at - interval '30 days'`);
    const day = 86_400_000;
    const from = new Date(Date.now() - 31 * day);
    const points = await admin.stats.series({ from, to: new Date(Date.now() - 29 * day) });
    expect(points.reduce((sum, point) => sum + point.completed, 0)).toBe(4);
    await database.query(`select ${schema}.prune_stats()`);
    const steps = await database.query(`select distinct step from ${schema}.stats`);
    expect(steps).toEqual([{ step: 60 }]);
  });

  it('refuse what is no series', async () => {
    const { admin } = await openEngine(await testDatabase()).then((taskmaster) => taskmaster);
    const at = new Date();
    await expect(admin.stats.series({ from: at, to: at })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
    await expect(admin.stats.series({ stepMs: 1_000 })).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('the overview', () => {
  const setup = async () => {
    const database = await testDatabase();
    const { admin } = await openEngine(database);
    return { database, admin, jobs: new JobTable(database) };
  };

  it('of an empty schema is empty', async () => {
    const { admin } = await setup();
    expect(await admin.stats.overview()).toMatchObject({ ready: 0, queues: [], problems: [], capped: false });
  });

  it('tells of queues that nobody works on', async () => {
    const { admin, jobs } = await setup();
    await jobs.insert('mail');
    const { problems, oldestReadyMs } = await admin.stats.overview();
    expect(problems).toEqual([
      { kind: 'noWorker', queue: 'mail', text: expect.stringContaining('no worker') },
    ]);
    expect(oldestReadyMs).toBeGreaterThanOrEqual(0);
  });

  it('looks at the queues once in a while, whoever asks how often', async () => {
    const { admin, jobs } = await setup();
    expect((await admin.stats.overview()).ready).toBe(0);
    await jobs.insert('mail');
    expect((await admin.stats.overview({ maxAgeMs: 60_000 })).ready).toBe(0);
    expect((await admin.stats.overview({ maxAgeMs: 0 })).ready).toBe(1);
  });

  it('counts no further than 10,000 a queue', async () => {
    const { admin, jobs } = await setup();
    await jobs.insertMany('mail', 10_050);
    expect(await admin.stats.overview()).toMatchObject({ ready: 10_000, capped: true });
  });
});
