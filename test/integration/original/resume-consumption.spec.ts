import { describe, expect, it } from 'vitest';
import { engine, openEngine } from '../../support/engine.js';
import { SignalPoint } from '../../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

/** An engine that consumes one queue, and what it got. */
function consumer(database: TestDatabase, queue: string) {
  const taskmaster = engine(database);
  const got = new SignalPoint<unknown>();
  taskmaster.register({
    queue,
    label: queue,
    options: { concurrency: 2 },
    handle: (payload: unknown) => got.signal(payload),
  });
  return { taskmaster, got };
}

const size = async (database: TestDatabase, queue: string) =>
  (await database.query(`select from "${database.schema}".jobs where queue_name = $1`, [queue])).length;

describe('jobs that were put before any consumer existed', () => {
  it('run once there is one', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    for (const n of [1, 2, 3]) await publisher.enqueue('early', { n });
    expect(await size(database, 'early')).toBe(3);
    const { taskmaster, got } = consumer(database, 'early');
    await taskmaster.start();
    const payloads = (await got.count(3)) as { n: number }[];
    expect(payloads.map(({ n }) => n).toSorted()).toEqual([1, 2, 3]);
    await taskmaster.stop();
    expect(await size(database, 'early')).toBe(0);
  });
});

describe('two consumers on two queues', () => {
  it('never see the jobs of each other', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const [first, second] = [consumer(database, 'first'), consumer(database, 'second')];
    await publisher.enqueue('first', 'first, early');
    await publisher.enqueue('second', 'second, early');
    await Promise.all([first.taskmaster.start(), second.taskmaster.start()]);
    await publisher.enqueue('first', 'first, late');
    await publisher.enqueue('second', 'second, late');
    await Promise.all([first.got.count(2), second.got.count(2)]);
    await Promise.all([first.taskmaster.stop(), second.taskmaster.stop()]);
    expect(first.got.values.toSorted()).toEqual(['first, early', 'first, late']);
    expect(second.got.values.toSorted()).toEqual(['second, early', 'second, late']);
  });

  it('leave alone what is for none of them', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const [first, second] = [consumer(database, 'first'), consumer(database, 'second')];
    await Promise.all([first.taskmaster.start(), second.taskmaster.start()]);
    await publisher.enqueue('third', 'nobody');
    await publisher.enqueue('first', 1);
    await publisher.enqueue('second', 2);
    await Promise.all([first.got.count(1), second.got.count(1)]);
    await Promise.all([first.taskmaster.stop(), second.taskmaster.stop()]);
    const left = await database.query(`select queue_name, run_count from "${database.schema}".jobs`);
    expect(left).toEqual([{ queue_name: 'third', run_count: 0 }]);
  });
});

describe('two consumers on one queue', () => {
  it('share its jobs: each runs once', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    await publisher.enqueueMany(
      'shared',
      Array.from({ length: 200 }, (_, n) => n),
    );
    const got = new SignalPoint<number>();
    const engines = [1, 2].map(() => {
      const taskmaster = engine(database);
      taskmaster.register({
        queue: 'shared',
        label: 'shared',
        options: { concurrency: 2 },
        handle: (n: number) => got.signal(n),
      });
      return taskmaster;
    });
    await Promise.all(engines.map((taskmaster) => taskmaster.start()));
    await got.count(200);
    await Promise.all(engines.map((taskmaster) => taskmaster.stop()));
    expect(got.values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });
});
