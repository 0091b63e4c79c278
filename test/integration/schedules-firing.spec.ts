import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { ScheduleTable } from './support/schedule-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const MINUTE = 60_000;

const setup = async () => {
  const database = await testDatabase();
  const started = new SignalPoint<{
    readonly schedule: string | undefined;
    readonly scheduledFor: Date | undefined;
  }>();
  const handlers = {
    digest: (job: { schedule: string | undefined; scheduledFor: Date | undefined }) =>
      started.signal({ schedule: job.schedule, scheduledFor: job.scheduledFor }),
  };
  return { database, started, handlers, table: new ScheduleTable(database) };
};

describe('a schedule', () => {
  it('fires when it is due, and its job knows for when', async () => {
    const { database, started, handlers, table } = await setup();
    const { taskmaster, log } = await workingEngine(database, handlers);
    await taskmaster.admin.schedules.upsert({ name: 'nightly', queue: 'digest', everyMs: MINUTE });
    const due = await table.dueIn('nightly', 100);
    expect(await started.count(1)).toEqual([{ schedule: 'nightly', scheduledFor: due }]);
    const [fired] = await log.of('scheduleFired').count(1);
    expect(fired).toMatchObject({ schedule: 'nightly', queue: 'digest', scheduledFor: due });
    expect(fired!.at.getTime()).toBeGreaterThanOrEqual(due.getTime());
    expect(await taskmaster.admin.schedules.get('nightly')).toMatchObject({
      lastDueAt: due,
      lastJobId: fired!.jobId,
    });
  });

  it('fires again and again, without drift', async () => {
    const { database, started, handlers } = await setup();
    const { taskmaster } = await workingEngine(database, handlers);
    const { nextRunAt } = await taskmaster.admin.schedules.upsert({
      name: 'often',
      queue: 'digest',
      everyMs: 1_000,
    });
    const jobs = await started.count(3);
    expect(jobs.map((job) => job.scheduledFor!.getTime() - nextRunAt!.getTime())).toEqual([0, 1_000, 2_000]);
  });

  it('fires once for each due time, by however many processes', async () => {
    const { database, started, handlers, table } = await setup();
    for (let n = 0; n < 4; n += 1) await workingEngine(database, handlers);
    const { taskmaster } = await workingEngine(database, handlers, { consume: false });
    for (const name of ['a', 'b', 'c'])
      await taskmaster.admin.schedules.upsert({ name, queue: 'digest', cron: '* * * * * *' });
    const jobs = await started.count(9);
    for (const name of ['a', 'b', 'c']) await taskmaster.admin.schedules.pause(name);
    const dueTimes = jobs.map(({ schedule, scheduledFor }) => `${schedule} ${scheduledFor!.toISOString()}`);
    expect(new Set(dueTimes).size).toBe(dueTimes.length);
    expect(jobs.every(({ scheduledFor }) => scheduledFor!.getTime() % 1_000 === 0)).toBe(true);
    expect(await table.jobs()).toEqual([]);
  });

  it('is seen by polling alone', async () => {
    const { database, started, handlers } = await setup();
    await workingEngine(database, handlers, NO_BELLS);
    const other = await workingEngine(database, {}, { consume: false });
    await other.taskmaster.admin.schedules.upsert({ name: 'often', queue: 'digest', everyMs: 1_000 });
    await started.count(1);
  });
});
