import { describe, expect, it } from 'vitest';
import type { Admin } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';

const setup = async () => {
  const database = await testDatabase();
  const taskmaster = await openEngine(database);
  const jobs = new JobTable(database);
  const failMany = (count: number) =>
    database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload, run_at, failed_at, run_count, last_error)
       select 'mail', '{}', 'infinity', now(), 1, '{"name": "Error", "message": "x"}' from generate_series(1, $1::integer)`,
      [count],
    );
  return { database, taskmaster, admin: taskmaster.admin, jobs, failMany };
};

const ended = (admin: Admin, id: string) =>
  eventually(async () => {
    const operation = await admin.operations.get(id);
    expect(operation?.endedAt).toBeInstanceOf(Date);
    return operation;
  });

describe('operations', () => {
  it('change many jobs, and tell how far they are', async () => {
    const { admin, failMany, jobs } = await setup();
    await failMany(1_200);
    const filter = { queue: 'mail', state: 'failed' } as const;
    const begun = await admin.operations.begin({ action: 'retry', filter, by: 'ada' });
    expect(begun).toMatchObject({ action: 'retry', total: 1_200, by: 'ada', asked: { filter } });
    expect(await ended(admin, begun.id)).toMatchObject({ state: 'done', done: 1_200, error: undefined });
    expect((await jobs.all()).filter((job) => job.state === 'ready')).toHaveLength(1_200);
    expect(await admin.operations.list()).toHaveLength(1);
  });

  it('stop at their limit', async () => {
    const { admin, failMany } = await setup();
    await failMany(30);
    const { id, total } = await admin.operations.begin({
      action: 'delete',
      filter: { state: 'failed' },
      limit: 10,
    });
    expect(total).toBe(10);
    expect(await ended(admin, id)).toMatchObject({ done: 10 });
    expect(await admin.jobs.count({ state: 'failed' })).toEqual({ count: 20, capped: false });
  });

  it('are stopped between two parts, from any process', async () => {
    const { database, admin, failMany } = await setup();
    await failMany(20_000);
    const { id } = await admin.operations.begin({ action: 'retry', filter: { state: 'failed' } });
    const elsewhere = await openEngine(database);
    expect(await elsewhere.admin.operations.cancel(id)).toBe(true);
    const operation = await ended(admin, id);
    expect(operation).toMatchObject({ state: 'cancelled' });
    expect(operation!.done).toBeLessThan(20_000);
    expect(await elsewhere.admin.operations.cancel(id)).toBe(false);
  });

  it('end with their process', async () => {
    const { database, taskmaster, failMany } = await setup();
    await failMany(20_000);
    const { id } = await taskmaster.admin.operations.begin({ action: 'retry', filter: { state: 'failed' } });
    await taskmaster.close();
    const elsewhere = await openEngine(database);
    expect(await elsewhere.admin.operations.get(id)).toMatchObject({ state: 'cancelled' });
  });

  it('refuse what they do not know, and begin nothing', async () => {
    const { admin } = await setup();
    const refused = { code: 'TM_INVALID_OPTIONS' };
    await expect(admin.operations.begin({ action: 'burn', filter: {} } as never)).rejects.toMatchObject(
      refused,
    );
    await expect(
      admin.operations.begin({ action: 'retry', filter: { state: 'completed' } }),
    ).rejects.toMatchObject(refused);
    expect(await admin.operations.list()).toEqual([]);
  });
});

describe('jobs.count', () => {
  it('counts as far as it is told to', async () => {
    const { admin, jobs, failMany } = await setup();
    await jobs.insertMany('mail', 30);
    await failMany(5);
    expect(await admin.jobs.count()).toEqual({ count: 35, capped: false });
    expect(await admin.jobs.count({ state: 'ready' })).toEqual({ count: 30, capped: false });
    expect(await admin.jobs.count({}, { countUpTo: 10 })).toEqual({ count: 10, capped: true });
    expect(await admin.jobs.count({ state: 'completed' })).toEqual({ count: 0, capped: false });
  });
});

describe('jobs.list with a window', () => {
  it('looks among the newest only', async () => {
    const { admin, jobs } = await setup();
    const ids = await jobs.insertMany('mail', 20);
    const { jobs: page } = await admin.jobs.list({}, { window: 5 });
    expect(page.map((job) => job.id)).toEqual(ids.slice(15).toReversed());
  });
});

describe('the audit log', () => {
  it('tells who did what, the newest first', async () => {
    const { admin } = await setup();
    await admin.audit.write({ action: 'queues.pause', by: 'ada', ip: '::1', target: { queue: 'mail' } });
    await admin.audit.write({ action: 'jobs.retry', count: 3 });
    const [newest, oldest] = await admin.audit.list();
    expect(newest).toMatchObject({ action: 'jobs.retry', count: 3, by: undefined, target: {} });
    expect(oldest).toMatchObject({ action: 'queues.pause', by: 'ada', ip: '::1', target: { queue: 'mail' } });
    expect(await admin.audit.list({ before: newest!.id })).toHaveLength(1);
  });
});

describe('the system', () => {
  it('tells of the server, the migrations and the tables', async () => {
    const { admin } = await setup();
    const system = await admin.system.get();
    expect(system.server).toMatch(/^\d+/);
    expect(system.migrations.at(-1)).toMatchObject({
      version: expect.any(Number),
      appliedAt: expect.any(Date),
    });
    expect(system.tables.map((table) => table.name)).toContain('jobs');
  });
});
