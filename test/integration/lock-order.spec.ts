import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { workingEngine } from './support/working-engine.js';

/** How many statements wait for locks. */
const waiters = async (database: TestDatabase) => {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::integer as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return row!.count;
};

const waiting = (database: TestDatabase, count: number) =>
  eventually(async () => (await waiters(database)) === count);

/** A connection that has locked a job until it commits. */
const holding = async (database: TestDatabase, id: string) => {
  const client = await database.client();
  await client.query('begin');
  await client.query('select from taskmaster.jobs where id = $1 for update', [id]);
  return { release: () => client.query('commit') };
};

/** What a worker does, at most so many ends of jobs at once, on a connection of its own. */
const applying = async (database: TestDatabase, limit = 100) => {
  const client = await database.client();
  return client
    .query<{ effects: number }>('select taskmaster.apply_effects($1) as effects', [limit])
    .then(({ rows }) => rows[0]!.effects);
};

const ends = (database: TestDatabase, ...ids: readonly string[]) =>
  database.query('delete from taskmaster.jobs where id = any ($1)', [ids]);

const setup = async () => {
  const database = await testDatabase();
  const { publisher } = await openEngine(database);
  const enqueue = async (count: number) =>
    (
      await publisher.enqueueMany(
        'part',
        Array.from({ length: count }, (_, n) => n),
      )
    ).map(({ id }) => id);
  return { database, publisher, enqueue };
};

describe('who counts a batch and who adds to it', () => {
  it('do not wait for each other in a circle', async () => {
    const { database, publisher } = await setup();
    const { id: batch } = await publisher.batch(() => undefined, { open: true });
    const parent = await publisher.enqueue('part', 0, { batch });
    const first = await publisher.enqueue('part', 1, { dependsOn: [parent] });
    const second = await publisher.enqueue('part', 2, { dependsOn: [parent] });
    await ends(database, parent.id);
    const held = await holding(database, second.id);
    const counted = applying(database);
    await waiting(database, 1);
    const added = publisher.enqueue('part', 3, { batch, dependsOn: [{ job: first, onFailure: 'ignore' }] });
    await waiting(database, 2);
    await held.release();
    expect(await counted).toBe(1);
    expect(await added).toMatchObject({ deduplicated: false });
    const [counts] = await database.query('select total, cancelled from taskmaster.batches');
    expect(counts).toEqual({ total: 2, cancelled: 1 });
  });
});

describe('two who tell a child of the ends of its parents', () => {
  it('do not wait for each other in a circle, when the first cancels it', async () => {
    const { database, publisher, enqueue } = await setup();
    const [first, second] = (await enqueue(2)) as [string, string];
    const child = await publisher.enqueue('child', 0, { dependsOn: [first, second] });
    await ends(database, first);
    await ends(database, second);
    const held = await holding(database, child.id);
    const both = Promise.all([applying(database, 1), applying(database, 1)]);
    await waiting(database, 2);
    await held.release();
    expect(await both).toEqual([1, 1]);
    expect(await database.query('select from taskmaster.jobs')).toEqual([]);
    expect(await database.query('select from taskmaster.dependencies')).toEqual([]);
  });
});

describe('a callback that depends on jobs', () => {
  it('is enqueued without a circle of those who tell these of the ends of their parents', async () => {
    const { database, publisher, enqueue } = await setup();
    const ignoring = (...ids: readonly string[]) => ids.map((job) => ({ job, onFailure: 'ignore' as const }));
    const [one, other, early] = (await enqueue(3)) as [string, string, string];
    const middle = await publisher.enqueue('child', 1, { dependsOn: ignoring(other) });
    await publisher.enqueue('child', 2, { dependsOn: ignoring(one, other) });
    const { jobs } = await publisher.batch((batch) => batch.add('part', 0), {
      onFinished: { queue: 'finished', dependsOn: ignoring(early, middle.id) },
    });
    await ends(database, one, jobs[0]!.id);
    const held = await holding(database, early);
    const counted = applying(database);
    await waiting(database, 1);
    await ends(database, other);
    let isTold = false;
    const told = applying(database).finally(() => (isTold = true));
    await eventually(async () => isTold || (await waiters(database)) === 2);
    await held.release();
    expect(await Promise.all([counted, told])).toEqual([2, 1]);
    const [callback] = await database.query(
      "select state from taskmaster.job_states where queue_name = 'finished'",
    );
    expect(callback).toEqual({ state: 'blocked' });
  });
});

describe('two who enqueue jobs that depend on the same', () => {
  it('do not wait for each other in a circle, in whatever order they name them', async () => {
    const { database, publisher, enqueue } = await setup();
    const [a, b, c] = (await enqueue(3)) as [string, string, string];
    const held = await holding(database, b);
    const on = (...parents: readonly string[]) =>
      publisher.enqueueMany(parents.map((parent) => ({ queue: 'child', dependsOn: [parent] })));
    const descending = on(c, b, a);
    await waiting(database, 1);
    const ascending = on(a, c);
    await waiting(database, 2);
    await held.release();
    expect(await Promise.all([descending, ascending])).toMatchObject([
      [{ deduplicated: false }, { deduplicated: false }, { deduplicated: false }],
      [{ deduplicated: false }, { deduplicated: false }],
    ]);
  });
});

describe('a job that expires while somebody has it locked', () => {
  it('keeps its dependencies until it fails', async () => {
    const { database, publisher, enqueue } = await setup();
    const [parent] = (await enqueue(1)) as [string];
    const child = await publisher.enqueue('child', 0, { dependsOn: [parent], expiresAt: new Date(0) });
    const held = await holding(database, child.id);
    expect(await database.query('select * from taskmaster.expire(10)')).toEqual([]);
    expect(await database.query('select from taskmaster.dependencies')).toHaveLength(1);
    await held.release();
    expect(await database.query('select * from taskmaster.expire(10)')).toMatchObject([{ id: child.id }]);
    expect(await database.query('select from taskmaster.dependencies')).toEqual([]);
  });
});

describe('a child that has run', () => {
  it('leaves no dependencies behind', async () => {
    const { database, publisher, enqueue } = await setup();
    const [parent] = (await enqueue(1)) as [string];
    const child = await publisher.enqueue('child', 0, { dependsOn: [{ job: parent, onFailure: 'ignore' }] });
    await ends(database, parent);
    expect(await applying(database)).toBe(1);
    await ends(database, child.id);
    expect(await database.query('select from taskmaster.dependencies')).toEqual([]);
  });
});

describe('a child that was requeued after one of its parents has failed', () => {
  it('is not touched by the end of another: it runs once', async () => {
    const { database, publisher, enqueue } = await setup();
    const [first, second] = (await enqueue(2)) as [string, string];
    const child = await publisher.enqueue('child', 0, {
      dependsOn: [{ job: first, onFailure: 'fail' }, { job: second }],
    });
    await ends(database, first);
    expect(await applying(database)).toBe(1);
    await database.query('update taskmaster.jobs set run_count = 0 where id = $1', [child.id]);
    const [requeued] = await database.query('select seq, run_at from taskmaster.jobs where id = $1', [
      child.id,
    ]);
    expect(requeued).toMatchObject({ run_at: null });
    await ends(database, second);
    expect(await applying(database)).toBe(1);
    expect(await database.query('select seq, run_at from taskmaster.jobs where id = $1', [child.id])).toEqual(
      [requeued],
    );
  });
});

describe('who ends jobs and who enqueues one that depends on them', () => {
  it('do not wait for each other in a circle, in whatever order the jobs have ended', async () => {
    const { database, publisher, enqueue } = await setup();
    const [first, second, third] = (await enqueue(3)) as [string, string, string];
    const left = { [first]: gate(), [second]: gate(), [third]: gate() };
    const { log } = await workingEngine(database, {
      part: { retention: { completedMs: 60_000 }, handle: (job) => left[job.id]!.pass() },
    });
    await log.of('started').count(3);
    const held = await holding(database, second);
    for (const id of [third, second, first]) left[id]!.open();
    await waiting(database, 1);
    const child = publisher.enqueue('child', 0, { dependsOn: [third, first] });
    await waiting(database, 2);
    await held.release();
    expect(await child).toMatchObject({ deduplicated: false });
    await log.of('completed').count(3);
    expect(log.of('engineError').values).toEqual([]);
  });
});
