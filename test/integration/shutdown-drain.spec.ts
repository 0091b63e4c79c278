import { describe, expect, it } from 'vitest';
import { ShutdownError, type Job } from '../../lib/engine/index.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { linesOf, workerChild } from './support/worker-child.js';
import { workingEngine } from './support/working-engine.js';

const LONG_DRAIN = { shutdown: { drainTimeoutMs: 20_000 } };
/** What storing, signing off and closing take on a busy machine. */
const CLOSING_MS = 3_000;

describe('a worker that stops', () => {
  it('claims nothing more, and waits for what runs', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const handlers = { mail: { concurrency: 20, handle: () => closed.pass() } };
    const { taskmaster, log } = await workingEngine(database, handlers, LONG_DRAIN);
    await jobs.insertMany('mail', 20);
    await closed.reached(20);
    const stopped = taskmaster.stop();
    await log.of('engineDraining').count(1);
    expect(taskmaster.state).toBe('draining');
    const late = await jobs.insertMany('mail', 5);
    const other = await workingEngine(database, { other: () => undefined }); // runs while the first one drains
    await jobs.insert('other');
    await other.log.of('completed').count(1);
    closed.open();
    await stopped;
    expect(log.of('completed').values).toHaveLength(20);
    expect(log.of('started').values).toHaveLength(20);
    expect((await jobs.all()).map((job) => [job.id, job.state])).toEqual(late.map((id) => [id, 'ready']));
  });

  it('gives back what it has claimed and not started', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    let quick = 200;
    const handle = () => ((quick -= 1) > 0 ? undefined : closed.pass());
    const { taskmaster, log } = await workingEngine(
      database,
      { mail: { concurrency: 2, handle } },
      LONG_DRAIN,
    );
    await jobs.insertMany('mail', 400); // by now it claims ahead
    await closed.reached(2);
    const stopped = taskmaster.stop();
    closed.open();
    await stopped;
    const left = await jobs.all();
    expect(left.length).toBe(400 - log.of('completed').values.length);
    expect(left.every((job) => job.state === 'ready' && job.run_count === 0)).toBe(true);
  });

  it('lets handlers enqueue until the last has ended, and after it', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const handle = async (): Promise<void> => {
      await closed.pass();
      await taskmaster.publisher.enqueue('next');
    };
    const { taskmaster } = await workingEngine(database, { mail: handle }, LONG_DRAIN);
    await jobs.insert('mail');
    await closed.reached(1);
    const stopped = taskmaster.stop();
    closed.open();
    await stopped;
    await taskmaster.publisher.enqueue('next');
    expect((await jobs.all()).map((job) => job.queue_name)).toEqual(['next', 'next']);
  });

  it('tells handlers that take too long, and hands their jobs back without spending an attempt', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const reasons = new SignalPoint<unknown>();
    const handle = (job: Job<never>) =>
      new Promise((_resolve, reject) => {
        job.signal.addEventListener('abort', () => {
          reasons.signal(job.signal.reason);
          reject(job.signal.reason as Error);
        });
        started.signal();
      });
    const started = new SignalPoint();
    const options = { shutdown: { drainTimeoutMs: 200 } };
    const { taskmaster, log } = await workingEngine(database, { mail: handle }, options);
    const id = await jobs.insert('mail');
    await started.count(1);
    await taskmaster.stop();
    expect(reasons.values).toEqual([expect.any(ShutdownError)]);
    expect(log.of('released').values).toMatchObject([{ jobId: id, runCount: 1 }]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'ready',
      run_count: 0,
      crash_count: 0,
      last_error: null,
    });
  });

  it('hands jobs back also when their handlers do not listen; another worker runs them at once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const ran = new SignalPoint<{ id: string; runCount: number }>();
    const options = { shutdown: { drainTimeoutMs: 200 } };
    const first = await workingEngine(database, { mail: () => closed.pass() }, options);
    const id = await jobs.insert('mail');
    await closed.reached(1);
    const handle = (job: Job<never>) => ran.signal({ id: job.id, runCount: job.runCount });
    await workingEngine(database, { mail: handle }, { name: 'second' });
    const before = performance.now();
    await first.taskmaster.stop();
    expect(await ran.count(1)).toEqual([{ id, runCount: 1 }]);
    expect(performance.now() - before).toBeLessThan(200 + CLOSING_MS);
    closed.open();
    await jobs.empty();
    expect(first.log.of('completed').values).toEqual([]); // what it did afterwards no longer counts
  });

  it('hands everything back at once when it is forced', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const { taskmaster } = await workingEngine(database, { mail: () => closed.pass() }, LONG_DRAIN);
    await jobs.insertMany('mail', 5);
    await closed.reached(5);
    const before = performance.now();
    const stopped = taskmaster.stop();
    taskmaster.forceStop();
    await stopped;
    expect(performance.now() - before).toBeLessThan(CLOSING_MS);
    expect((await jobs.all()).map((job) => [job.state, job.run_count])).toEqual(
      Array.from({ length: 5 }, () => ['ready', 0]),
    );
  });

  it('rolls open transactions back, and their jobs run again elsewhere', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query('create table effects (job_id bigint)');
    const closed = gate();
    const handle = async (job: Job<never>) => {
      await job.tx!.query('insert into effects values ($1)', [job.id]);
      await closed.pass();
    };
    const options = { shutdown: { drainTimeoutMs: 200 } };
    const { taskmaster } = await workingEngine(database, { mail: { transactional: true, handle } }, options);
    const id = await jobs.insert('mail');
    await closed.reached(1);
    await taskmaster.close();
    expect(await database.query('select from effects')).toEqual([]);
    expect(await jobs.of(id)).toMatchObject({ state: 'ready', run_count: 0 });
  });

  it('signs off, so that nobody takes it for dead', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { taskmaster } = await workingEngine(database, { mail: () => undefined });
    await taskmaster.stop();
    expect(await jobs.workers()).toEqual([]);
    expect(await database.query(`select from ${jobs.schema}.leases`)).toEqual([]);
  });
});

describe.each(['refuse', 'blackhole'] as const)(
  'a database that is gone (%s) when the worker stops',
  (fault) => {
    it('does not hold it up for long', async () => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const { proxy, connection } = await faultyProxy(database);
      const closed = gate();
      const handlers = { mail: () => closed.pass() };
      const { taskmaster } = await workingEngine(database, handlers, {
        connection,
        shutdown: { drainTimeoutMs: 300 },
      });
      const id = await jobs.insert('mail');
      await closed.reached(1);
      proxy[fault]();
      const before = performance.now();
      await taskmaster.close();
      expect(performance.now() - before).toBeLessThan(300 + 2 * CLOSING_MS);
      await workingEngine(database, { mail: () => undefined });
      await jobs.empty();
      expect(await jobs.of(id)).toBeUndefined();
    });

    it('does not hold it up while it waits to connect', async () => {
      const database = await testDatabase();
      const { proxy, connection } = await faultyProxy(database);
      const { taskmaster } = await workingEngine(database, { mail: () => undefined }, { connection });
      const lost = nextEvent(taskmaster.events, 'databaseLost');
      proxy.refuse();
      await lost;
      if (fault === 'blackhole') proxy.blackhole();
      const before = performance.now();
      await taskmaster.close();
      expect(performance.now() - before).toBeLessThan(2 * CLOSING_MS);
    });
  },
);

describe('a process whose engine is closed', () => {
  it.each(['main', 'thread'] as const)('ends by itself, with its heartbeat from %s', async (heartbeat) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const child = workerChild(database, { queue: 'mail' }, { lease: { heartbeat } });
    await child.line(/^ready/);
    const id = await jobs.insert('mail', { payload: '{"workMs": 300}' });
    await child.line(new RegExp(`^started ${id}`));
    child.kill('SIGTERM');
    expect(await child.exit()).toEqual({ code: 0, signal: null });
    expect(linesOf(child, 'event completed')).toEqual([`event completed ${id}`]);
    expect(child.stdout.values).toContain('closed');
    expect(child.stderr.values).toEqual([]);
    await jobs.empty();
    expect(await jobs.workers()).toEqual([]);
  });
});
