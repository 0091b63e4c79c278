import { describe, expect, it, onTestFinished } from 'vitest';
import type { Taskmaster, WatchedEvent, WatchFilter } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

/** Watches until the test, or the watcher, ends; resolves when whoever works knows of it. */
const watching = async (database: TestDatabase, taskmaster: Taskmaster, filter: WatchFilter = {}) => {
  const over = new AbortController();
  const messages = new SignalPoint<WatchedEvent>();
  const pass = async () => {
    for await (const message of taskmaster.watch(filter, over.signal)) messages.signal(message);
  };
  const passed = pass();
  const stop = async () => {
    over.abort();
    await passed;
  };
  onTestFinished(stop);
  await eventually(async () => {
    const [row] = await database.query('select count(*)::integer as watchers from taskmaster.watchers');
    return row!['watchers'] > 0;
  });
  return { messages, stop };
};

/** A worker that says how far its jobs are, and another process that only looks. */
const setup = async (options = {}) => {
  const database = await testDatabase();
  const handle = (job: { progress(value: unknown): void; payload: unknown }) => job.progress(job.payload);
  const worker = await workingEngine(database, { mail: handle, other: handle }, options);
  const looker = await openEngine(database, options);
  return { database, worker: worker.taskmaster, looker };
};

/** Enqueues until one job is seen from its start: the worker has heard of the watcher by then. */
const heard = ({ publisher }: Taskmaster, queue: string, messages: SignalPoint<WatchedEvent>) =>
  eventually(async () => {
    await publisher.call(queue, 'warm-up');
    return messages.values.some(({ type }) => type === 'completed');
  });

const typesOf = (messages: readonly WatchedEvent[], jobId: string) =>
  messages.filter(({ data }) => data['jobId'] === jobId).map(({ type }) => type);

describe('watching events', () => {
  it('tells what happens in other processes, in order', async () => {
    const { database, worker, looker } = await setup();
    const { messages } = await watching(database, looker);
    await heard(worker, 'mail', messages);
    const { id } = await worker.publisher.enqueue('mail', { done: 50 });
    await eventually(() => typesOf(messages.values, id).length === 4);
    // That it is enqueued is told by who has enqueued it, after the commit: somebody may have started by then.
    const types = typesOf(messages.values, id);
    expect(types.filter((type) => type !== 'enqueued')).toEqual(['started', 'progress', 'completed']);
    expect(types).toHaveLength(4);
    const progress = messages.values.find(({ type, data }) => type === 'progress' && data['jobId'] === id);
    expect(progress?.data).toMatchObject({
      queue: 'mail',
      runCount: 1,
      progress: { done: 50 },
      at: expect.any(String),
    });
  });

  it('tells only what is asked for', async () => {
    const { database, worker, looker } = await setup();
    const { messages } = await watching(database, looker, {
      queues: ['other'],
      types: ['completed', 'failed'],
    });
    await heard(worker, 'other', messages);
    await worker.publisher.call('mail', 1);
    await worker.publisher.call('other', 2);
    const before = messages.values.length;
    await eventually(() => messages.values.length >= before);
    expect(new Set(messages.values.map(({ type, data }) => `${String(data['queue'])} ${type}`))).toEqual(
      new Set(['other completed']),
    );
    const stored = await database.query('select distinct queue_name, type from taskmaster.watched_events');
    expect(stored).toEqual([{ queue_name: 'other', type: 'completed' }]);
  });

  it('costs nothing while nobody watches', async () => {
    const { database, worker } = await setup();
    await worker.publisher.call('mail', 1);
    expect(await database.query('select * from taskmaster.watched_events')).toEqual([]);
  });

  it('goes on where it was, and has missed nothing', async () => {
    const { database, worker, looker } = await setup();
    const first = await watching(database, looker, { types: ['completed'] });
    await heard(worker, 'mail', first.messages);
    await first.stop();
    const seen = first.messages.values.at(-1)!;
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const { id } = await worker.publisher.enqueue('mail', n, { keepResult: true });
      await worker.publisher.result(id);
      ids.push(id);
    }
    const again = await watching(database, looker, { types: ['completed'], after: seen.id });
    const told = () => again.messages.values.map(({ data }) => data['jobId'] as string);
    await eventually(() => told().includes(ids.at(-1)!));
    expect(told().filter((id) => ids.includes(id))).toEqual(ids);
    expect(again.messages.values.map(({ type }) => type)).not.toContain('gap');
  });

  it('says so when it cannot go on where it was', async () => {
    const { database, worker, looker } = await setup();
    const { messages } = await watching(database, looker, { after: '4711-3' });
    expect((await messages.count(1))[0]).toMatchObject({ type: 'gap', data: {} });
    await heard(worker, 'mail', messages);
  });

  it('works by polling alone', async () => {
    const { database, worker, looker } = await setup(NO_BELLS);
    const { messages } = await watching(database, looker);
    await eventually(
      async () => {
        await worker.publisher.enqueue('mail', 1);
        return messages.values.some(({ type }) => type === 'completed');
      },
      { timeoutMs: 25_000 },
    );
  });

  it('ends with the engine', async () => {
    const { database, looker } = await setup();
    const { messages, stop } = await watching(database, looker);
    await looker.close();
    await stop();
    expect(messages.values.filter(({ type }) => type === 'gap')).toEqual([]);
  });

  it.each([
    [{ queues: [] }, 'queues'],
    [{ jobIds: ['x'] }, 'jobIds[0]'],
    [{ after: 'yesterday' }, 'after'],
    [{ queue: 'mail' }, 'queue'],
  ])('refuses %j at once', async (filter, problem) => {
    const looker = await openEngine(await testDatabase());
    expect(() => looker.watch(filter as never, AbortSignal.abort())).toThrow(
      expect.objectContaining({ code: 'TM_INVALID_OPTIONS', message: expect.stringContaining(problem) }),
    );
  });
});
