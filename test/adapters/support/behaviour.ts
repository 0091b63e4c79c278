import { describe, expect, it, onTestFinished } from 'vitest';
import type { Taskmaster } from '../../../lib/engine/index.js';
import { engine, openEngine } from '../../support/engine.js';
import { SignalPoint } from '../../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { type OpenLibrary, ORDERS, Undo, undone } from './library.js';

/** Values that libraries with placeholders of their own might take for theirs. */
const ODD = [
  '?',
  '$1 $2',
  ':name :1',
  '??',
  String.raw`\? \\ "quoted" 'it''s'`,
  '{"a":[1]}',
  '🐘 \u2028',
  '',
];

/** What each library's transactions do for jobs. */
export function describeTransactions(name: string, open: OpenLibrary): void {
  const setup = async () => {
    const database = await testDatabase();
    await database.query(ORDERS);
    const library = await open(database.url);
    onTestFinished(() => library.close().then(() => undefined));
    return { database, library, taskmaster: await openEngine(database) };
  };

  describe(`a transaction of ${name}`, () => {
    it('stores the job with the rest when it commits, and not before', async () => {
      const { database, library, taskmaster } = await setup();
      const job = await library.transaction(async ({ tx, order }) => {
        await order('book');
        const enqueued = await taskmaster.publisher.enqueue('ship', { item: 'book' }, { tx });
        expect(await payloads(database)).toEqual([]);
        return enqueued;
      });
      expect(job).toEqual({ id: '1', queue: 'ship', deduplicated: false });
      expect(await payloads(database)).toEqual([{ item: 'book' }]);
      expect(await orders(database)).toEqual(['book']);
    });

    it('stores nothing when it rolls back, and nobody runs it', async () => {
      const { database, library } = await setup();
      const taskmaster = engine(database);
      const handled = new SignalPoint<unknown>();
      taskmaster.register({
        queue: 'ship',
        label: 'ship',
        handle: (payload: unknown) => handled.signal(payload),
      });
      await taskmaster.start();
      await undone(
        library.transaction(async ({ tx, order }) => {
          await order('book');
          await taskmaster.publisher.enqueue('ship', 'undone', { tx });
          throw new Undo();
        }),
      );
      await taskmaster.publisher.enqueue('ship', 'done');
      expect(await handled.count(1)).toEqual(['done']);
      expect(await orders(database)).toEqual([]);
      expect(await payloads(database)).not.toContain('undone');
    });

    it('loses with a savepoint what was enqueued since', async () => {
      const { database, library, taskmaster } = await setup();
      await library.transaction(async ({ tx, savepoint }) => {
        await taskmaster.publisher.enqueue('ship', 'before', { tx });
        await undone(
          savepoint(async (inner) => {
            await taskmaster.publisher.enqueue('ship', 'inside', { tx: inner.tx });
            throw new Undo();
          }),
        );
        await savepoint((inner) => taskmaster.publisher.enqueue('ship', 'kept', { tx: inner.tx }));
        await taskmaster.publisher.enqueue('ship', 'after', { tx });
      });
      expect(await payloads(database)).toEqual(['before', 'kept', 'after']);
    });

    it('stores many jobs, in several statements, with ids in input order', async () => {
      const { database, library, taskmaster } = await setup();
      const many = Array.from({ length: 1_500 }, (_, n) => n);
      const jobs = await library.transaction(({ tx }) =>
        taskmaster.publisher.enqueueMany('ship', many, { tx }),
      );
      const rows = await database.query<{ id: string }>(
        `select id from taskmaster.jobs order by (payload #>> '{}')::integer`,
      );
      expect(rows.map((row) => row.id)).toEqual(jobs.map((job) => job.id));
    });

    it('stores every payload and option as it is', async () => {
      const { database, library, taskmaster } = await setup();
      await library.transaction(async ({ tx }) => {
        for (const text of ODD)
          await taskmaster.publisher.enqueue('ship', { text }, { tx, headers: { text } });
      });
      expect(await payloads(database)).toEqual(ODD.map((text) => ({ text })));
    });

    it('meets the unique jobs that are there', async () => {
      const { database, library, taskmaster } = await setup();
      const unique = { key: 'a' };
      const first = await taskmaster.publisher.enqueue('ship', 1, { unique });
      const answers = await library.transaction(async ({ tx }) => [
        await taskmaster.publisher.enqueue('ship', 2, { tx, unique }),
        await taskmaster.publisher.enqueue('ship', 3, { tx, unique: { key: 'b' } }),
        await taskmaster.publisher.enqueue('ship', 4, { tx, unique: { key: 'b' } }),
      ]);
      expect(answers.map((job) => job.deduplicated)).toEqual([true, false, true]);
      expect(answers[0]?.id).toBe(first.id);
      expect(await payloads(database)).toEqual([1, 3]);
    });

    it('takes flows and events', async () => {
      const { database, library, taskmaster } = await setup();
      await library.transaction(async ({ tx }) => {
        await flow(taskmaster, tx);
        await taskmaster.publisher.emit('paid', { order: 1 }, { tx, keepMs: 60_000 });
      });
      expect(await payloads(database)).toEqual(['parent', 'child']);
      expect(await database.query('select name from taskmaster.emitted')).toEqual([{ name: 'paid' }]);
    });

    it('that has failed already says so, without the payload, and stores nothing', async () => {
      const { database, library, taskmaster } = await setup();
      const attempt = library.transaction(async ({ tx, breakIt }) => {
        await breakIt();
        const refused = taskmaster.publisher.enqueue('ship', { secret: 'canary' }, { tx });
        await expect(refused).rejects.toMatchObject({ code: 'TM_DATABASE', sqlState: '25P02' });
        await expect(refused).rejects.not.toThrow(/canary/);
        throw new Undo();
      });
      await undone(attempt);
      expect(await payloads(database)).toEqual([]);
    });

    it('is joined by what is enqueued below, where the application tells', async () => {
      const { database, library } = await setup();
      let current: Parameters<typeof flow>[1] | undefined;
      const { publisher } = await openEngine(database, { transaction: () => current });
      await undone(
        library
          .transaction(async ({ tx }) => {
            current = tx;
            await publisher.enqueue('ship', 'undone');
            throw new Undo();
          })
          .finally(() => (current = undefined)),
      );
      await publisher.enqueue('ship', 'done');
      expect(await payloads(database)).toEqual(['done']);
    });
  });
}

async function flow(
  { publisher }: Taskmaster,
  tx: NonNullable<Parameters<typeof publisher.flow>[1]>['tx'] & object,
) {
  await publisher.flow(
    (graph) => {
      const parent = graph.add('ship', 'parent');
      graph.add('ship', 'child', { dependsOn: [parent] });
    },
    { tx },
  );
}

async function payloads(database: TestDatabase): Promise<unknown[]> {
  return (await database.query('select payload from taskmaster.jobs order by id')).map(
    (row) => row['payload'],
  );
}

async function orders(database: TestDatabase): Promise<unknown[]> {
  return (await database.query('select item from orders order by id')).map((row) => row['item']);
}
