import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type OverlapPolicy, reject } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { ScheduleTable } from './support/schedule-table.js';
import { workingEngine } from './support/working-engine.js';

const MINUTE = 60_000;

/** A schedule whose jobs stop at gates, in turn. */
const setup = async (overlap: OverlapPolicy, handlerOptions = {}) => {
  const database = await testDatabase();
  const table = new ScheduleTable(database);
  const gates = [gate(), gate(), gate(), gate()];
  const order: string[] = [];
  const rejected = new Set<string>();
  const handle = async (job: { id: string; signal: AbortSignal }) => {
    const mine = gates[order.length];
    order.push(job.id);
    await mine?.pass(job.signal);
    if (rejected.has(job.id)) throw reject('told to');
  };
  const { taskmaster, log } = await workingEngine(
    database,
    { digest: { ...handlerOptions, handle } },
    { lease: { heartbeat: 'main' } },
  );
  const { schedules } = taskmaster.admin;
  await schedules.upsert({ name: 'digest', everyMs: MINUTE, overlap });
  const due = async () => {
    const dueAt = await table.dueIn('digest', 0);
    await eventually(async () => (await schedules.get('digest'))?.lastDueAt?.getTime() === dueAt.getTime());
  };
  const states = async () => (await table.jobs()).map(({ state }) => state);
  return { database, due, gates, log, order, rejected, schedules, states, table, taskmaster };
};

describe('overlap: allow', () => {
  it('fires whatever is still alive', async () => {
    const { due, gates, states } = await setup('allow');
    await due();
    await gates[0]!.reached();
    await due();
    await gates[1]!.reached();
    expect(await states()).toEqual(['running', 'running']);
  });
});

describe('overlap: skip', () => {
  it('does not fire while a job runs, and fires again when it has ended', async () => {
    const { due, gates, log, order, states } = await setup('skip');
    await due();
    await gates[0]!.reached();
    await due();
    expect(await states()).toEqual(['running']);
    expect(log.of('scheduleSkipped').values).toMatchObject([{ schedule: 'digest', queue: 'digest' }]);
    gates[0]!.open();
    await log.of('completed').count(1);
    await due();
    await gates[1]!.reached();
    expect(order).toHaveLength(2);
  });

  it('does not fire while a job waits, or waits to be retried', async () => {
    const { database, due, log, states, table } = await setup('skip', { backoff: MINUTE });
    await database.query(`update ${table.schema}.schedules set queue_name = 'nobody'`);
    await due();
    await due();
    expect(await states()).toEqual(['ready']);
    await database.query(`update ${table.schema}.jobs set run_at = now() + interval '1 hour', run_count = 1`);
    await due();
    expect(await states()).toEqual(['scheduled']);
    expect(log.of('scheduleSkipped').values).toHaveLength(2);
  });

  it('fires when the job before has failed for good', async () => {
    const { database, due, states, table } = await setup('skip');
    await database.query(`update ${table.schema}.schedules set queue_name = 'nobody'`);
    await due();
    await database.query(
      `update ${table.schema}.jobs set run_at = 'infinity', failed_at = now(), run_count = 1`,
    );
    await due();
    expect(await states()).toEqual(['failed', 'ready']);
  });

  it('counts jobs that were triggered, and does not trigger either', async () => {
    const { due, gates, log, schedules, states } = await setup('skip');
    const id = await schedules.trigger('digest');
    expect(id).toBeDefined();
    await gates[0]!.reached();
    await due();
    expect(await schedules.trigger('digest')).toBeUndefined();
    expect(await states()).toEqual(['running']);
    expect(log.of('scheduleSkipped').values).toHaveLength(2);
  });

  it('counts jobs from before it was chosen', async () => {
    const { due, gates, schedules, states } = await setup('allow');
    await due();
    await gates[0]!.reached();
    await schedules.upsert({ name: 'digest', everyMs: MINUTE, overlap: 'skip' });
    await due();
    expect(await states()).toEqual(['running']);
  });

  it('fires one of the missed ones with `missed: all`', async () => {
    const { database, schedules, states, table } = await setup('skip');
    await database.query(`update ${table.schema}.schedules set queue_name = 'nobody', missed = 'all'`);
    await table.pass('digest', 10 * MINUTE);
    await schedules.trigger('digest');
    await eventually(async () => (await schedules.get('digest'))?.lastDueAt !== undefined);
    expect(await states()).toEqual(['ready']);
  });
});

describe('overlap: queue', () => {
  it('fires, and lets the jobs run one after the other', async () => {
    const { due, gates, log, order, states, table } = await setup('queue');
    await due();
    await gates[0]!.reached();
    await due();
    await due();
    expect(await states()).toEqual(['running', 'blocked', 'blocked']);
    const ids = (await table.jobs()).map(({ id }) => id);
    gates[0]!.open();
    await gates[1]!.reached();
    expect(await states()).toEqual(['running', 'blocked']);
    gates[1]!.open();
    await gates[2]!.reached();
    gates[2]!.open();
    await log.of('completed').count(3);
    expect(order).toEqual(ids);
  });

  it('goes on after a job that has failed for good, or was deleted while it waited', async () => {
    const { database, due, gates, order, rejected, states, table } = await setup('queue');
    await due();
    await gates[0]!.reached();
    await due();
    await due();
    const [first, second, third] = (await table.jobs()).map(({ id }) => id);
    await database.query(`delete from ${table.schema}.jobs where id = $1`, [second]);
    rejected.add(first!);
    gates[0]!.open();
    await gates[1]!.reached();
    expect(order).toEqual([first, third]);
    expect(await states()).toEqual(['failed', 'running']);
  });

  it('waits for a retry of the job before', async () => {
    const { database, due, states, table } = await setup('queue');
    await database.query(`update ${table.schema}.schedules set queue_name = 'nobody'`);
    await due();
    await database.query(`update ${table.schema}.jobs set run_at = now() + interval '1 hour', run_count = 1`);
    await due();
    await delay(1_200); // twice the longest sleep while something waits
    expect(await states()).toEqual(['scheduled', 'blocked']);
  });

  it('ends in order though the schedule was deleted', async () => {
    const { due, gates, log, schedules } = await setup('queue');
    await due();
    await gates[0]!.reached();
    await due();
    await schedules.delete('digest');
    gates[0]!.open();
    await gates[1]!.reached();
    gates[1]!.open();
    await log.of('completed').count(2);
  });

  it('runs one at a time, by however many processes, and what is released is released once', async () => {
    const database = await testDatabase();
    const table = new ScheduleTable(database);
    let running = 0;
    let most = 0;
    const handle = async () => {
      most = Math.max(most, (running += 1));
      await delay(5);
      running -= 1;
    };
    const engines = [];
    for (let n = 0; n < 3; n += 1) engines.push(await workingEngine(database, { digest: handle }));
    const { schedules } = engines[0]!.taskmaster.admin;
    await schedules.upsert({ name: 'digest', everyMs: MINUTE, overlap: 'queue' });
    for (let n = 0; n < 8; n += 1) await schedules.trigger('digest');
    await eventually(async () => (await table.jobs()).length === 0, { timeoutMs: 20_000 });
    expect(most).toBe(1);
    const completed = engines.flatMap(({ log }) => log.of('completed').values);
    expect(completed).toHaveLength(8);
  });
});

describe('what is remembered of the jobs of a schedule', () => {
  it('is what is alive, and a few of those that ended', async () => {
    const { database, due, gates, log, table } = await setup('allow');
    for (const each of gates) each.open();
    for (let n = 1; n <= 15; n += 1) {
      await due();
      await log.of('completed').count(n);
    }
    const [row] = await database.query<{ count: number }>(
      `select count(*)::integer as count from ${table.schema}.schedule_jobs`,
    );
    expect(row!.count).toBe(1);
  });
});
