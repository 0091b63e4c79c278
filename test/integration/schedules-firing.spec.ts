import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Taskmaster } from '../../lib/engine/index.js';
import { MOST_MISSED } from '../../lib/engine/schedule/firing.js';
import { openEngine } from '../support/engine.js';
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

const nextOf = async (taskmaster: Taskmaster, name: string) =>
  (await taskmaster.admin.schedules.get(name))?.nextRunAt?.toISOString() ?? '';

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

  it('that becomes due earlier than was known is seen at once', async () => {
    const { database, started, handlers, table } = await setup();
    const { log } = await workingEngine(database, handlers);
    const other = await workingEngine(database, {}, { consume: false });
    await other.taskmaster.admin.schedules.upsert({ name: 'nightly', queue: 'digest', everyMs: 60 * MINUTE });
    await log.of('listenerRestored').count(1);
    await delay(300); // by now the scheduler and the promoter sleep, and the bell is armed
    const due = await table.dueIn('nightly', 50);
    const [job] = await started.count(1, { timeoutMs: 2_000 });
    expect(job!.scheduledFor).toEqual(due);
  });

  it('can be written in SQL', async () => {
    const { database, started, handlers, table } = await setup();
    const { log, taskmaster } = await workingEngine(database, handlers);
    await log.of('listenerRestored').count(1);
    await database.query(
      `insert into ${table.schema}.schedules (name, queue_name, cron, payload) values ('often', 'digest', '* * * * * *', '{"n": 1}')`,
    );
    await started.count(1);
    await database.query(`update ${table.schema}.schedules set cron = '0 0 1 1 *'`);
    await eventually(async () => (await nextOf(taskmaster, 'often')).endsWith('-01-01T00:00:00.000Z'));
    await database.query(`update ${table.schema}.schedules set paused_at = now()`);
    expect(await taskmaster.admin.schedules.get('often')).toMatchObject({ nextRunAt: undefined });
  });

  it('that nobody understands is not planned, and does not stop the others', async () => {
    const { database, started, handlers, table } = await setup();
    const { log, taskmaster } = await workingEngine(database, handlers);
    await database.query(
      `insert into ${table.schema}.schedules (name, queue_name, cron, timezone)
       values ('a', 'digest', 'nightly', 'UTC'), ('b', 'digest', '* * * * *', 'Mars/Olympus'), ('c', 'digest', '* * * * * *', 'UTC')`,
    );
    await started.count(1);
    expect(await taskmaster.admin.schedules.get('a')).toMatchObject({
      nextRunAt: undefined,
      problem: expect.stringContaining('nightly'),
    });
    expect(await taskmaster.admin.schedules.get('b')).toMatchObject({ problem: expect.any(String) });
    const warnings = log.of('engineWarning').values.map(({ message }) => message);
    expect(warnings.filter((message) => message.startsWith('schedule "a" cannot be planned'))).toHaveLength(
      1,
    );
    await database.query(`update ${table.schema}.schedules set cron = '* * * * * *' where name = 'a'`);
    await eventually(() => started.values.some(({ schedule }) => schedule === 'a'));
    expect(await taskmaster.admin.schedules.get('a')).toMatchObject({ problem: undefined });
  });

  it('passes its options on to its jobs', async () => {
    const { database, table } = await setup();
    const attempts: number[] = [];
    const fail = (job: { runCount: number; maxAttempts: number; tags: readonly string[] }) => {
      attempts.push(job.runCount);
      throw new Error(`${job.maxAttempts} ${job.tags.join()}`);
    };
    const { taskmaster, log } = await workingEngine(database, { digest: fail });
    await taskmaster.admin.schedules.upsert({
      name: 'digest',
      everyMs: MINUTE,
      maxAttempts: 1,
      tags: ['nightly'],
    });
    const due = await table.dueIn('digest', 0);
    const [failed] = await log.of('failed').count(1);
    expect(failed).toMatchObject({ cause: 'exhausted', error: { message: '1 nightly' } });
    expect(attempts).toEqual([1]);
    expect(await table.jobs()).toMatchObject([{ state: 'failed', scheduledFor: due }]);
  });

  it('waits while somebody holds its row, and does not hold up the others', async () => {
    const { database, started, handlers, table } = await setup();
    const off = await openEngine(database);
    for (const name of ['held', 'free'])
      await off.admin.schedules.upsert({ name, queue: 'digest', everyMs: MINUTE });
    for (const name of ['held', 'free']) await table.dueIn(name, -1);
    const holder = await database.client();
    await holder.query('begin');
    await holder.query(`select from ${table.schema}.schedules where name = 'held' for update`);
    const { log } = await workingEngine(database, handlers);
    await started.count(1);
    await delay(300); // time to look at it again and again
    expect(started.values.map(({ schedule }) => schedule)).toEqual(['free']);
    await holder.query('rollback');
    await started.count(2);
    expect(started.values[1]).toMatchObject({ schedule: 'held' });
    expect(log.of('engineError').values).toEqual([]);
  });
});

describe('due times that were missed', () => {
  /** Nobody was there to fire for the last three and a half minutes. */
  const downtime = async (missed: 'skip' | 'once' | 'all') => {
    const { database, started, handlers, table } = await setup();
    const off = await openEngine(database);
    await off.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE, missed });
    await table.pass('digest', 4.5 * MINUTE);
    const [row] = await database.query<{ anchor: Date }>(
      `select anchor_at as anchor from ${table.schema}.schedules`,
    );
    const { taskmaster } = await workingEngine(database, handlers);
    const minuteOf = (date: Date | undefined) =>
      Math.round(((date?.getTime() ?? 0) - row!.anchor.getTime()) / MINUTE);
    const planned = async () => (await taskmaster.admin.schedules.get('digest'))?.nextRunAt;
    await eventually(async () => minuteOf(await planned()) === 5);
    return {
      minutes: async (count: number) => (await started.count(count)).map((job) => minuteOf(job.scheduledFor)),
      started,
    };
  };

  it('are not fired with `skip`', async () => {
    const { started } = await downtime('skip');
    expect(started.values).toEqual([]);
  });

  it('are fired once for all of them with `once`, for the latest', async () => {
    const { minutes, started } = await downtime('once');
    expect(await minutes(1)).toEqual([4]);
    expect(started.values).toHaveLength(1);
  });

  it('are fired each with `all`', async () => {
    const { minutes } = await downtime('all');
    expect((await minutes(4)).toSorted()).toEqual([1, 2, 3, 4]);
  });

  it('are fired up to the latest 1,000 with `all`', async () => {
    const { database, table } = await setup();
    const off = await openEngine(database);
    await off.admin.schedules.upsert({ name: 'digest', queue: 'nobody', everyMs: 1_000, missed: 'all' });
    await table.pass('digest', 2 * 60 * MINUTE);
    const { log } = await workingEngine(database, { other: () => undefined });
    await log.of('scheduleFired').count(MOST_MISSED);
    await off.admin.schedules.pause('digest');
    const jobs = await table.jobs();
    const times = jobs.map((job) => job.scheduledFor.getTime());
    expect(new Set(times).size).toBe(times.length);
    expect(times.length).toBeLessThan(MOST_MISSED + 60);
    expect(times.at(-1)! - times[0]!).toBe((times.length - 1) * 1_000);
  });

  it('while it was paused are not fired', async () => {
    const { database, started, handlers, table } = await setup();
    const { taskmaster } = await workingEngine(database, handlers);
    await taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE, missed: 'all' });
    await taskmaster.admin.schedules.pause('digest');
    await table.pass('digest', 10 * MINUTE);
    const { nextRunAt } = await taskmaster.admin.schedules.resume('digest');
    expect(nextRunAt!.getTime()).toBeGreaterThan(Date.now() - 1_000);
    expect(started.values).toEqual([]);
  });
});

describe('a clock that is set back', () => {
  it('fires no due time again', async () => {
    const { database, started, handlers, table } = await setup();
    const { taskmaster } = await workingEngine(database, handlers);
    await taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE });
    const due = await table.dueIn('digest', 0);
    await started.count(1);
    await table.pass('digest', -60 * MINUTE); // it is an hour earlier
    await taskmaster.admin.schedules.pause('digest');
    const { nextRunAt } = await taskmaster.admin.schedules.resume('digest');
    expect(nextRunAt!.getTime()).toBeGreaterThan(due.getTime() + 60 * MINUTE);
    await database.query(`update ${table.schema}.schedules set next_run_at = now() - interval '1 second'`);
    await eventually(async () => {
      const schedule = await taskmaster.admin.schedules.get('digest');
      return schedule!.nextRunAt!.getTime() > due.getTime() + 60 * MINUTE;
    });
    expect(started.values).toHaveLength(1);
  });
});

describe('who fires', () => {
  it('is every process that works on queues, also for queues of others', async () => {
    const { database, table } = await setup();
    const { taskmaster, log } = await workingEngine(database, { other: () => undefined });
    await taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE });
    await table.dueIn('digest', 0);
    await log.of('scheduleFired').count(1);
    expect(await table.jobs()).toMatchObject([{ queue: 'digest', state: 'ready' }]);
  });

  it('is no process that works on none', async () => {
    const { database, handlers, table } = await setup();
    const { taskmaster, log } = await workingEngine(database, handlers, { consume: false });
    await taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE });
    await table.dueIn('digest', -1);
    const worker = await workingEngine(database, handlers);
    await worker.log.of('scheduleFired').count(1);
    expect(log.of('scheduleFired').values).toEqual([]);
  });

  it('is another process when the one before has stopped or died', async () => {
    const { database, handlers, table } = await setup();
    const first = await workingEngine(database, handlers);
    await first.taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE });
    await table.dueIn('digest', 0);
    await first.log.of('completed').count(1);
    await first.taskmaster.close();
    const due = await table.dueIn('digest', -10);
    const second = await workingEngine(database, handlers);
    expect(await second.log.of('scheduleFired').count(1)).toMatchObject([{ scheduledFor: due }]);
  });

  it('goes on after its connection was lost', async () => {
    const { database, started, handlers, table } = await setup();
    const { taskmaster, log } = await workingEngine(database, handlers);
    await taskmaster.admin.schedules.upsert({ name: 'digest', everyMs: MINUTE });
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );
    await log.of('databaseLost').count(1);
    await table.dueIn('digest', 0);
    await started.count(1);
  });
});
