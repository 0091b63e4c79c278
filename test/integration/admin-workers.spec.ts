import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { TaskmasterOptions } from '../../lib/engine/index.js';
import manifest from '../../package.json' with { type: 'json' };
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workerChild } from './support/worker-child.js';
import { NO_BELLS, SHORT_LEASE, workingEngine } from './support/working-engine.js';

/** A heartbeat that comes too late to bring any order within a test. */
const RARE = { lease: { ttlMs: 300_000, heartbeatMs: 60_000, heartbeat: 'main' } } as const;

/** An engine that works on `mail`, another that only looks, and the id of the worker. */
const setup = async (options: Partial<TaskmasterOptions> = {}) => {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const { admin } = await openEngine(database);
  const hold = gate();
  const handled: string[] = [];
  const handle = async (job: { readonly id: string; readonly payload: unknown }) => {
    handled.push(job.id);
    if ((job.payload as { hold?: true }).hold) await hold.pass();
  };
  const { taskmaster, log } = await workingEngine(database, { mail: { concurrency: 3, handle } }, options);
  const [worker] = await admin.workers.list();
  return { database, jobs, admin, hold, handled, taskmaster, log, worker: worker! };
};

describe('workers.list', () => {
  it('tells of those that are alive', async () => {
    const { admin, jobs, hold, worker } = await setup();
    await jobs.insert('mail', { payload: '{"hold": true}' });
    await hold.reached(1);
    const [listed, ...others] = await admin.workers.list();
    expect(others).toEqual([]);
    expect(listed).toEqual({
      id: worker.id,
      name: 'default',
      host: hostname(),
      pid: process.pid,
      version: manifest.version,
      startedAt: expect.any(Date),
      heartbeatAt: expect.any(Date),
      state: 'running',
      queues: [{ queue: 'mail', slots: 3 }],
      running: 1,
      oldestRunningMs: expect.any(Number),
    });
    expect(listed!.oldestRunningMs).toBeLessThan(30_000);
  });

  it('tells of what is registered later, and counts the jobs of batches', async () => {
    const { admin, taskmaster } = await setup();
    taskmaster.register({
      queue: 'digest',
      label: 'digest',
      batch: { size: 50 },
      handleBatch: () => undefined,
      options: { concurrency: 2 },
    });
    await eventually(async () =>
      expect(await admin.workers.list()).toMatchObject([
        {
          queues: [
            { queue: 'mail', slots: 3 },
            { queue: 'digest', slots: 100 },
          ],
        },
      ]),
    );
    expect(await admin.workers.list({ queue: 'digest' })).toHaveLength(1);
    expect(await admin.workers.list({ queue: 'other' })).toEqual([]);
  });

  it('does not tell of one whose lease is over, and pages', async () => {
    const { database, admin, worker } = await setup(RARE);
    await database.query(
      `insert into "${database.schema}".workers (name, expires_at) values ('dead', now() - interval '1 s'), ('old release', now() + interval '1 h')`,
    );
    const names = (filter = {}) =>
      admin.workers.list(filter).then((workers) => workers.map((each) => each.name));
    expect(await names()).toEqual(['default', 'old release']);
    expect(await names({ limit: 1 })).toEqual(['default']);
    expect(await names({ after: worker.id })).toEqual(['old release']);
    expect(await admin.workers.list({ after: worker.id })).toMatchObject([
      { version: undefined, host: undefined, queues: [] },
    ]);
  });
});

const ways = [
  ['by notification', RARE],
  ['with its next heartbeat, without bells', { ...NO_BELLS, lease: SHORT_LEASE }],
  ['with its next heartbeat, from a thread', { ...NO_BELLS, lease: { ...SHORT_LEASE, heartbeat: 'thread' } }],
] as const;

describe.each(ways)('a worker that is told %s', (_name, options) => {
  it('to be quiet takes nothing new, goes on with what runs, and works again when it is told to', async () => {
    const { database, admin, jobs, hold, handled, log, worker } = await setup(options);
    const running = await jobs.insert('mail', { payload: '{"hold": true}' });
    await hold.reached(1);
    expect(await admin.workers.quiet(worker.id)).toBe(true);
    expect(await admin.workers.list()).toMatchObject([{ id: worker.id, state: 'quiet', running: 1 }]);
    expect(await log.of('engineQuiet').count(1)).toMatchObject([{ running: 1 }]);
    const other = await workingEngine(database, { mail: () => undefined }, options);
    for (let n = 0; n < 10; n += 1) await jobs.insert('mail', n % 2 === 0 ? {} : { group_key: `g${n}` });
    await other.log.of('completed').count(10);
    await other.taskmaster.stop();
    hold.open();
    await log.of('completed').count(1);
    const last = await jobs.insert('mail');
    expect(handled).toEqual([running]);
    expect(await admin.workers.resume(worker.id)).toBe(true);
    await log.of('engineResumed').count(1);
    await jobs.empty();
    expect(handled).toEqual([running, last]);
    expect(await admin.workers.list()).toMatchObject([{ id: worker.id, state: 'running' }]);
  });

  it('to stop drains and stops, and can be started again', async () => {
    const { admin, jobs, hold, taskmaster, log, worker } = await setup(options);
    const running = await jobs.insert('mail', { payload: '{"hold": true}' });
    await hold.reached(1);
    expect(await admin.workers.stop(worker.id)).toBe(true);
    await log.of('engineDraining').count(1);
    expect(await admin.workers.list()).toMatchObject([{ state: 'draining' }]);
    expect(await admin.workers.resume(worker.id)).toBe(false);
    expect(await admin.workers.stop(worker.id)).toBe(false);
    hold.open();
    await log.of('engineStopped').count(1);
    expect(taskmaster.state).toBe('stopped');
    expect(log.of('completed').values).toMatchObject([{ jobId: running }]);
    expect(await admin.workers.list()).toEqual([]);
    const next = await jobs.insert('mail');
    await taskmaster.start();
    await jobs.empty();
    expect(log.of('completed').values.at(-1)).toMatchObject({ jobId: next });
  });
});

describe('a quiet worker', () => {
  it('is quiet still when it was taken for dead and has another id', async () => {
    const { database, admin, jobs, log, handled, worker } = await setup();
    await admin.workers.quiet(worker.id);
    await log.of('engineQuiet').count(1);
    await database.query(`delete from "${database.schema}".workers`);
    await log.of('workerLost').count(1);
    const again = await eventually(async () => {
      const [found] = await admin.workers.list();
      return found ?? false;
    });
    expect(again).toMatchObject({ state: 'quiet' });
    expect(again).not.toMatchObject({ id: worker.id });
    const id = await jobs.insert('mail');
    const other = await workingEngine(database, { mail: (job) => void handled.push(`other ${job.id}`) });
    await other.log.of('completed').count(1);
    expect(handled).toEqual([`other ${id}`]);
  });

  it('leaves its jobs to others: those it had claimed ahead too', async () => {
    const { database, admin, jobs, hold, log: quiet, worker } = await setup();
    await jobs.insertMany('mail', 300); // quick ones: it learns to claim ahead
    await jobs.empty();
    for (let n = 0; n < 6; n += 1) await jobs.insert('mail', { payload: '{"hold": true}' });
    await hold.reached(3);
    await admin.workers.quiet(worker.id);
    await quiet.of('engineQuiet').count(1);
    const { log } = await workingEngine(database, { mail: () => undefined });
    await log.of('completed').count(3);
    expect((await jobs.all()).map((job) => job.locked_by)).toEqual([worker.id, worker.id, worker.id]);
  });
});

describe('an order', () => {
  it('reaches another process', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { admin } = await openEngine(database);
    const child = workerChild(database, { queue: 'mail' }, RARE);
    await child.line(/^ready$/);
    const [worker] = await admin.workers.list();
    expect(worker).toMatchObject({ pid: child.pid });
    await admin.workers.stop(worker!.id);
    await child.line(/^event engineStopped/);
    expect(await jobs.workers()).toEqual([]);
  });

  it('to nobody is refused', async () => {
    const { admin } = await setup();
    for (const order of ['quiet', 'resume', 'stop'] as const)
      expect(await admin.workers[order](424_242)).toBe(false);
  });

  it('of a wrong kind says so', async () => {
    const { taskmaster } = await setup();
    const admin = taskmaster.admin.workers;
    await expect(admin.quiet('7' as never)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: [expect.stringContaining('id: expected an integer')],
    });
    await expect(admin.list({ queu: 'mail' } as never)).rejects.toMatchObject({
      problems: [expect.stringContaining('did you mean "queue"')],
    });
  });
});
