import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine, type HandlerEntry } from './support/working-engine.js';

/** A worker that has claimed ahead, since its handlers were quick, and whose handlers are now slow. */
async function ahead(others: Readonly<Record<string, HandlerEntry>> = {}) {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const closed = gate();
  let quick = 500;
  const handle = () => ((quick -= 1) >= 0 ? undefined : closed.pass());
  const { log } = await workingEngine(database, { mail: { concurrency: 2, handle }, ...others });
  await jobs.insertMany('mail', 600);
  await closed.reached(2);
  const held = (await jobs.all()).filter((job) => job.queue_name === 'mail' && job.state === 'running');
  expect(held.length).toBeGreaterThan(10); // claimed and not started, but for two
  return { database, jobs, closed, log };
}

/** Another worker, that has time. */
async function helper(database: Awaited<ReturnType<typeof testDatabase>>) {
  const ran = new SignalPoint<Pick<Job, 'id' | 'runCount'>>();
  const handle = (job: Job<never>) => ran.signal({ id: job.id, runCount: job.runCount });
  await workingEngine(database, { mail: handle }, { name: 'helper' });
  return ran;
}

describe('jobs that were claimed ahead of handlers that turned out slow', () => {
  it('go to another worker, with no attempt spent', async () => {
    const { database, jobs, closed } = await ahead();
    const ran = await helper(database);
    const done = await ran.count(98);
    expect(done.every((job) => job.runCount === 1)).toBe(true);
    closed.open();
    await jobs.empty();
  });

  it('go there also when the worker is kept busy by another queue', async () => {
    const { database, jobs, closed } = await ahead({ busy: { concurrency: 5, handle: () => delay(1) } });
    await jobs.insertMany('busy', 30_000); // there is always something that has ended, and something to claim
    const ran = await helper(database);
    await ran.count(98);
    expect((await jobs.all()).some((job) => job.queue_name === 'busy')).toBe(true);
    await database.query(`delete from ${jobs.schema}.jobs where queue_name = 'busy'`);
    closed.open();
    await jobs.empty();
  });
});

describe('handlers that are slow from the beginning', () => {
  it('have nothing claimed ahead of them', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    await workingEngine(database, { mail: { concurrency: 3, handle: () => closed.pass() } });
    await jobs.insertMany('mail', 100);
    await closed.reached(3);
    expect((await jobs.all()).filter((job) => job.state === 'running')).toHaveLength(3);
  });
});
