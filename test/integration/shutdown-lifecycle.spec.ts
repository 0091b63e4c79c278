import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ClosedError, type Taskmaster } from '../../lib/engine/index.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { within } from '../support/within.js';
import { JobTable } from './support/job-table.js';
import { idleEngine, workingEngine } from './support/working-engine.js';

/** What a call may take that has nothing to wait for. */
const SOON_MS = 5_000;

const handlers = { mail: () => undefined };

describe('start() and stop()', () => {
  it('are idempotent', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = idleEngine(database, handlers);
    await Promise.all([taskmaster.start(), taskmaster.start()]);
    await taskmaster.start();
    expect(await new JobTable(database).workers()).toHaveLength(1);
    await Promise.all([taskmaster.stop(), taskmaster.stop()]);
    await taskmaster.stop();
    expect(log.all.map((event) => event.type).filter((type) => type.startsWith('engine'))).toEqual([
      'engineStarted',
      'engineDraining',
      'engineStopped',
    ]);
  });

  it('may follow each other without waiting', async () => {
    const database = await testDatabase();
    const { taskmaster } = idleEngine(database, handlers);
    const started = taskmaster.start(); // rejects: it came to nothing
    const stopped = taskmaster.stop();
    await Promise.allSettled([started, stopped]);
    expect(taskmaster.state).not.toBe('running');
    expect(await new JobTable(database).workers()).toEqual([]);
    await taskmaster.start();
    expect(taskmaster.state).toBe('running');
  });

  it('may go round', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { taskmaster, log } = idleEngine(database, handlers);
    for (let round = 1; round <= 3; round += 1) {
      await taskmaster.start();
      await jobs.insert('mail');
      await log.of('completed').count(round);
      await taskmaster.stop();
    }
    void taskmaster.stop();
    await taskmaster.start(); // waits for the stop
    await jobs.insert('mail');
    await log.of('completed').count(4);
  });

  it('may be called in any order before anything else', async () => {
    const { taskmaster } = idleEngine(await testDatabase(), handlers);
    await taskmaster.stop();
    taskmaster.forceStop();
    expect(taskmaster.state).toBe('idle');
    await taskmaster.start();
    expect(taskmaster.state).toBe('running');
  });
});

describe('a start during which the connection breaks', () => {
  it.each([
    ['when it looks for the schema', { to: /pg_catalog.pg_namespace/ }],
    ['when it registers its worker', { to: /register_worker/ }],
    ['when it opens its lanes', { to: /open_lanes/ }],
  ])('is tried again: %s', async (_name, reply) => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    for (const connect of ['eager', 'lazy'] as const) {
      const { taskmaster, log } = idleEngine(database, handlers, { connection, connect });
      const lost = proxy.dropReply(reply);
      await taskmaster.start();
      await lost;
      await log.of('engineStarted').count(1);
      await new JobTable(database).insert('mail');
      await log.of('completed').count(1);
      await taskmaster.close();
    }
    expect(await new JobTable(database).workers().then((workers) => workers.length)).toBeLessThanOrEqual(2); // of lost replies
  });
});

describe('close()', () => {
  const closings: Record<string, (taskmaster: Taskmaster) => Promise<unknown>> = {
    'before anything else': () => Promise.resolve(),
    'after open()': (taskmaster) => taskmaster.open(),
    'during open()': (taskmaster) => Promise.resolve(void taskmaster.open().catch(() => undefined)),
    'after start()': (taskmaster) => taskmaster.start(),
    'during start()': (taskmaster) => Promise.resolve(void taskmaster.start().catch(() => undefined)),
    'after stop()': (taskmaster) => taskmaster.start().then(() => taskmaster.stop()),
    'during stop()': (taskmaster) => taskmaster.start().then(() => void taskmaster.stop()),
    'after close()': (taskmaster) => taskmaster.close(),
    'during close()': (taskmaster) => Promise.resolve(void taskmaster.close()),
  };

  it.each(Object.entries(closings))('ends everything %s', async (_name, before) => {
    const database = await testDatabase();
    const { taskmaster } = idleEngine(database, handlers);
    await before(taskmaster);
    await within(SOON_MS, 'close()', taskmaster.close());
    await expect(taskmaster.start()).rejects.toBeInstanceOf(ClosedError);
    await expect(taskmaster.open()).rejects.toBeInstanceOf(ClosedError);
    await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({ code: 'TM_CLOSED' });
    expect(await new JobTable(database).workers()).toEqual([]);
  });

  it('does not wait for a database that never comes', async () => {
    const { proxy, connection } = await faultyProxy(await testDatabase());
    proxy.blackhole();
    const { taskmaster } = idleEngine(await testDatabase(), handlers, { connection, connect: 'lazy' });
    await taskmaster.start();
    await expect(within(SOON_MS, 'close()', taskmaster.close())).resolves.toBeUndefined();
  });
});

describe('a handler that is registered while the engine runs', () => {
  it('gets jobs from then on', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { taskmaster, log } = await workingEngine(database, handlers);
    const waiting = await jobs.insert('late');
    taskmaster.register({ queue: 'late', label: 'late', handle: () => undefined });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: waiting }]);
  });

  it('gets jobs also when it is registered while the engine starts', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = idleEngine(database, handlers);
    const started = taskmaster.start();
    const queues = Array.from({ length: 20 }, (_, n) => `late ${n}`);
    for (const queue of queues) {
      taskmaster.register({ queue, label: queue, handle: () => undefined });
      await delay(5); // some before it is connected, some while its parts start, some afterwards
    }
    await started;
    await taskmaster.publisher.enqueueMany(queues.map((queue) => ({ queue })));
    await log.of('completed').count(queues.length);
  });

  it('may be the first', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, {});
    taskmaster.register({ queue: 'first', label: 'first', handle: () => undefined });
    taskmaster.register({ queue: 'second', label: 'second', handle: () => undefined });
    await taskmaster.publisher.enqueueMany([{ queue: 'first' }, { queue: 'second' }]);
    await log.of('completed').count(2);
  });
});
