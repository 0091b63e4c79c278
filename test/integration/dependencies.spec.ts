import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

async function openDatabase() {
  const database = await testDatabase();
  const { publisher } = await openEngine(database);
  return { database, jobs: new JobTable(database), publisher };
}

const states = async (database: TestDatabase) =>
  database.query(`select id, state, error ->> 'code' as code from "${database.schema}".finished order by id`);

describe('a job that depends on others', () => {
  it('runs when all of them have completed', async () => {
    const { database, jobs, publisher } = await openDatabase();
    const parents = await publisher.enqueueMany('mail', ['a', 'b', 'c']);
    const child = await publisher.enqueue('mail', 'child', { dependsOn: parents });
    const grandchild = await publisher.enqueue('mail', 'grandchild', { dependsOn: [child.id, parents[0]!] });
    expect(await jobs.of(child.id)).toMatchObject({ state: 'blocked' });
    const order: string[] = [];
    await workingEngine(database, { mail: (job) => void order.push(job.payload) });
    await jobs.empty();
    expect(order.slice(0, 3).toSorted()).toEqual(['a', 'b', 'c']);
    expect(order.slice(3)).toEqual(['child', 'grandchild']);
    expect(grandchild.deduplicated).toBe(false);
  });

  it('runs at once when they had completed before, and at its time when that is later', async () => {
    const { database, jobs, publisher } = await openDatabase();
    const { log } = await workingEngine(database, { mail: () => undefined });
    const parent = await publisher.enqueue('mail', 1);
    await log.of('completed').count(1);
    const child = await publisher.enqueue('mail', 2, { dependsOn: [parent] });
    expect((await log.of('completed').count(2))[1]).toMatchObject({ jobId: child.id });
    const next = await publisher.enqueue('mail', 3);
    const late = await publisher.enqueue('mail', 4, { dependsOn: [next], delayMs: 60_000 });
    await log.of('completed').count(3);
    await jobs.in(late.id, 'scheduled');
  });

  it('notices a parent that ends while it is enqueued', async () => {
    const { database, jobs, publisher } = await openDatabase();
    await workingEngine(database, { mail: () => undefined });
    for (let n = 0; n < 60; n += 1) {
      const parent = await publisher.enqueue('mail', n);
      await publisher.enqueue('mail', n, { dependsOn: [parent] });
    }
    await jobs.empty();
  });

  it('waits for a parent that is running already', async () => {
    const { database, jobs, publisher } = await openDatabase();
    const closed = gate();
    const { log } = await workingEngine(database, { slow: () => closed.pass(), mail: () => undefined });
    const parent = await publisher.enqueue('slow');
    await closed.reached(1);
    const child = await publisher.enqueue('mail', 1, { dependsOn: [parent] });
    expect(await jobs.of(child.id)).toMatchObject({ state: 'blocked' });
    closed.open();
    await log.of('completed').count(2);
  });

  const failing: [string, 'cancel' | 'fail' | 'ignore' | undefined, unknown, unknown][] = [
    ['is cancelled', undefined, [], [{ state: 'cancelled', code: 'TM_PARENT_FAILED' }]],
    ['fails, where it was told to', 'fail', [{ state: 'failed' }], []],
    ['runs, where it was told to', 'ignore', [], []],
  ];

  it.each(failing)('%s when one fails', async (_name, onParentFailure, left, ended) => {
    const { database, jobs, publisher } = await openDatabase();
    const ran: string[] = [];
    await workingEngine(database, {
      bad: {
        maxAttempts: 1,
        handle: () => {
          throw new Error('no');
        },
      },
      mail: { retention: { cancelledMs: 60_000 }, handle: (job) => void ran.push(job.id) },
    });
    const policy = onParentFailure === undefined ? {} : { onParentFailure };
    const parent = await publisher.enqueue('bad');
    const child = await publisher.enqueue('mail', 1, { dependsOn: [parent], ...policy });
    await jobs.in(parent.id, 'failed');
    const after = await publisher.enqueue('mail', 1, { dependsOn: [parent], ...policy }); // of one that has failed already
    await expect
      .poll(async () => {
        const alive = (await jobs.all()).filter((job) => job.id !== parent.id && job.state !== 'failed');
        return alive.length;
      })
      .toBe(0);
    const of = (id: string) => (list: { id?: unknown }[]) => list.filter((each) => each.id === id);
    for (const { id } of [child, after]) {
      expect(of(id)(await jobs.all())).toMatchObject(left as object[]);
      expect(of(id)(await states(database))).toMatchObject(ended as object[]);
    }
    expect(ran.length).toBe(onParentFailure === 'ignore' ? 2 : 0);
  });

  it('is cancelled with its parent, and so are those that depend on it', async () => {
    const { database, jobs, publisher } = await openDatabase();
    const parent = await publisher.enqueue('mail', 1, { delayMs: 60_000 });
    const child = await publisher.enqueue('mail', 2, { dependsOn: [parent] });
    await publisher.enqueue('mail', 3, { dependsOn: [child] });
    await database.query(`select ${jobs.schema}.cancel($1)`, [parent.id]);
    await workingEngine(database, { mail: () => undefined });
    await jobs.empty();
  });

  it('is one of ten thousand, or waits for as many', async () => {
    const { database, jobs, publisher } = await openDatabase();
    const parents = await publisher.enqueueMany(
      'mail',
      Array.from({ length: 10_000 }, (_, n) => n),
    );
    const child = await publisher.enqueue('last', 1, { dependsOn: parents });
    const ran: string[] = [];
    await workingEngine(database, { mail: () => void ran.push('parent'), last: () => void ran.push('last') });
    await jobs.empty({ timeoutMs: 60_000 });
    expect(ran).toHaveLength(10_001);
    expect(ran.at(-1)).toBe('last');
    expect(child.deduplicated).toBe(false);
  });
});
