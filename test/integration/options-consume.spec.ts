import { describe, expect, it, vi } from 'vitest';
import type { TaskmasterOptions } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

const QUEUES = ['a', 'b', 'c'];

/** Starts an engine with handlers for three queues that each hold a job, stops it, and answers which were worked on. */
async function workedOn(consume: TaskmasterOptions['consume']): Promise<string[]> {
  const database = await testDatabase();
  const taskmaster = engine(database, consume === undefined ? {} : { consume });
  const handled = new SignalPoint<string>();
  for (const queue of QUEUES) {
    taskmaster.register({ queue, label: queue, handle: () => handled.signal(queue) });
  }
  let consumed: readonly { queue: string }[] = [];
  taskmaster.events.subscribe((event) => event.type === 'engineStarted' && (consumed = event.queues));
  await taskmaster.open();
  await taskmaster.publisher.enqueueMany(QUEUES.map((queue) => ({ queue })));
  await taskmaster.start();
  await handled.count(consumed.length);
  await taskmaster.stop();
  const left = await database.query<{ queue_name: string }>(
    `select queue_name from "${database.schema}".jobs`,
  );
  const worked = handled.values.toSorted();
  expect(consumed.map(({ queue }) => queue).toSorted()).toEqual(worked);
  expect(left.map((row) => row.queue_name).toSorted()).toEqual(
    QUEUES.filter((queue) => !worked.includes(queue)),
  );
  return worked;
}

describe('consume', () => {
  it.each<[string, TaskmasterOptions['consume'], string[]]>([
    ['nothing', undefined, ['a', 'b', 'c']],
    ['true', true, ['a', 'b', 'c']],
    ['false', false, []],
    ['a list', ['a', 'c', 'of others'], ['a', 'c']],
    ['an empty list', [], []],
    ['an exception', { except: ['b'] }, ['a', 'c']],
  ])('%s: works on the queues it names', async (_name, consume, expected) => {
    expect(await workedOn(consume)).toEqual(expected);
  });
});

describe('TASKMASTER_CONSUME', () => {
  it.each([
    ['off', []],
    ['*', ['a', 'b', 'c']],
    ['a, b', ['a', 'b']],
  ])('%s: wins over the option', async (variable, expected) => {
    vi.stubEnv('TASKMASTER_CONSUME', variable);
    try {
      expect(await workedOn(['c'])).toEqual(expected);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('an engine that consumes nothing', () => {
  it('publishes, and lists the handlers it leaves to others', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database, { consume: false });
    taskmaster.register({ queue: 'a', label: 'A.handle', handle: () => undefined });
    await taskmaster.start();
    expect(taskmaster.state).toBe('running');
    await expect(taskmaster.publisher.enqueue('a')).resolves.toMatchObject({ queue: 'a' });
    expect(taskmaster.handlers).toEqual([{ queue: 'a', label: 'A.handle', concurrency: 10, running: 0 }]);
    expect(await database.query(`select from "${database.schema}".workers`)).toEqual([]);
    expect(await taskmaster.health()).toMatchObject({ status: 'up' });
  });
});
