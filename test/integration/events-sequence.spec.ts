import { describe, expect, it } from 'vitest';
import { reject, retry, snooze, type Job, type TaskmasterEvent } from '../../lib/engine/index.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { idleEngine, workingEngine } from './support/working-engine.js';

/** The types of the events of one job, in order. */
function story(events: readonly TaskmasterEvent[], jobId: string): string[] {
  return events.filter((event) => 'jobId' in event && event.jobId === jobId).map((event) => event.type);
}

describe('the events of a job', () => {
  const handlers = {
    ack: () => undefined,
    reject: () => reject('no'),
    again: (job: Job<never>) => (job.runCount === 1 ? retry({ delayMs: 1 }) : undefined),
    nap: { maxAttempts: 1, handle: (job: Job<never>) => naps.add(job.id).size > 1 || snooze(1) },
    never: {
      maxAttempts: 2,
      backoff: 1,
      handle: () => {
        throw new Error('never');
      },
    },
  };
  const naps = { seen: [] as string[], add: (id: string) => ({ size: naps.seen.push(id) }) };

  it('tell its story, in order', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, handlers);
    const ids: Record<string, string> = {};
    for (const queue of Object.keys(handlers)) ids[queue] = (await taskmaster.publisher.enqueue(queue)).id;
    await log.of('completed').count(3);
    await log.of('failed').count(2);
    await taskmaster.close();
    const stories = Object.entries(ids).map(([queue, id]) => [
      queue,
      story(log.all, id).toSorted(enqueuedFirst),
    ]);
    expect(Object.fromEntries(stories)).toEqual({
      ack: ['enqueued', 'started', 'completed'],
      reject: ['enqueued', 'started', 'failed'],
      again: ['enqueued', 'started', 'retried', 'started', 'completed'],
      nap: ['enqueued', 'started', 'snoozed', 'started', 'completed'],
      never: ['enqueued', 'started', 'retried', 'started', 'failed'],
    });
  });

  it('carry what their types promise', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, handlers, { name: 'named' });
    const before = Date.now();
    const { id } = await taskmaster.publisher.enqueue('never');
    await log.of('failed').count(1);
    const common = { instance: 'named', queue: 'never', jobId: id, at: expect.any(Date) as Date };
    const error = { name: 'Error', message: 'never', stack: expect.any(String) as string };
    const runMs = expect.any(Number) as number;
    expect(log.of('enqueued').values).toEqual([{ ...common, type: 'enqueued' }]);
    expect(log.of('started').values[0]).toEqual({
      ...common,
      type: 'started',
      runCount: 1,
      waitMs: expect.any(Number) as number,
    });
    expect(log.of('retried').values).toEqual([
      { ...common, type: 'retried', runCount: 1, runMs, delayMs: 1, error },
    ]);
    expect(log.of('failed').values).toEqual([
      { ...common, type: 'failed', runCount: 2, runMs, error, cause: 'exhausted' },
    ]);
    for (const event of log.all) expect(event.at.getTime()).toBeGreaterThanOrEqual(before - 60_000);
  });

  it('come after what they tell is stored', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { taskmaster, log } = await workingEngine(database, handlers);
    const ack = await taskmaster.publisher.enqueue('ack');
    await log.of('completed').count(1);
    expect(await jobs.of(ack.id)).toBeUndefined();
    const rejected = await taskmaster.publisher.enqueue('reject');
    await log.of('failed').count(1);
    expect(await jobs.of(rejected.id)).toMatchObject({ state: 'failed' });
  });

  it('count attempts and waits from when the job became runnable', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, handlers);
    await taskmaster.publisher.enqueue('ack', {}, { delayMs: 300 });
    await log.of('completed').count(1);
    expect(log.of('started').values[0]!.waitMs).toBeLessThan(290); // not from its enqueue
  });
});

describe('the events of an engine', () => {
  it('tell of its life', async () => {
    const database = await testDatabase();
    const closed = gate();
    const { taskmaster, log } = idleEngine(database, {
      mail: { concurrency: 4, handle: () => closed.pass() },
    });
    await taskmaster.start();
    await new JobTable(database).insert('mail');
    await closed.reached(1);
    const stopped = taskmaster.stop();
    await log.of('engineDraining').count(1);
    closed.open();
    await stopped;
    expect(log.of('engineStarted').values).toMatchObject([{ queues: [{ queue: 'mail', concurrency: 4 }] }]);
    expect(log.of('engineDraining').values).toMatchObject([{ running: 1 }]);
    expect(log.of('engineStopped').values).toHaveLength(1);
    const order = log.all.map((event) => event.type);
    expect(order.indexOf('completed')).toBeGreaterThan(order.indexOf('engineDraining'));
    expect(order.at(-1)).toBe('engineStopped');
  });
});

describe('a listener of events', () => {
  it('that throws stops neither the engine nor the other listeners', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = idleEngine(database, { mail: () => undefined });
    const thrown: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error)); // where such an error belongs
    try {
      taskmaster.events.subscribe(() => {
        throw new Error('a listener');
      });
      const after = { seen: 0 };
      taskmaster.events.subscribe(() => (after.seen += 1));
      await taskmaster.start();
      await new JobTable(database).insertMany('mail', 3);
      await log.of('completed').count(3);
      await taskmaster.close();
      expect(after.seen).toBe(log.all.length);
      expect(thrown).toHaveLength(log.all.length);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  it('may unsubscribe, also while events are handed out', async () => {
    const database = await testDatabase();
    const { taskmaster, log } = await workingEngine(database, { mail: () => undefined });
    let heard = 0;
    const unsubscribe = taskmaster.events.subscribe(() => {
      heard += 1;
      unsubscribe();
    });
    await new JobTable(database).insertMany('mail', 3);
    await log.of('completed').count(3);
    expect(heard).toBe(1);
  });
});

/** `enqueued` is told by the publisher when it hears of the commit: a worker may have been quicker. */
function enqueuedFirst(one: string, other: string): number {
  return Number(other === 'enqueued') - Number(one === 'enqueued');
}
