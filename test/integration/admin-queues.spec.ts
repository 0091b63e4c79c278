import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { NO_BELLS, SHORT_LEASE, workingEngine } from './support/working-engine.js';

const LATER = '2100-01-01T00:00:00Z';
const FAILED = { run_at: 'infinity', failed_at: '2026-01-01T00:00:00Z', run_count: 3 };

/** The admin of an engine that does not work. */
const setup = async () => {
  const database = await testDatabase();
  const { admin, publisher } = await openEngine(database);
  return { database, admin, publisher, jobs: new JobTable(database) };
};

const NOBODY = {
  paused: undefined,
  heldUntil: undefined,
  maxPending: undefined,
  workers: 0,
  quietWorkers: 0,
  slots: 0,
};

describe('queues.list', () => {
  it('tells of every queue that is known of, whatever it is known from', async () => {
    const { database, admin, jobs } = await setup();
    await jobs.insert('ready');
    await jobs.insert('grouped', { group_key: 'a' });
    await jobs.insert('scheduled', { run_at: LATER });
    await jobs.insert('parked', { run_at: 'infinity' });
    await jobs.insert('failed', FAILED);
    await jobs.insert('Ω🙂"', { group_key: 'a', run_at: LATER });
    await database.query(`insert into ${jobs.schema}.lanes (queue_name, priority) values ('worked on', 0)`);
    await admin.queues.pause('paused');
    await workingEngine(database, { served: { concurrency: 4, handle: () => undefined } });
    const queues = await admin.queues.list();
    expect(queues.map((each) => each.queue)).toEqual([
      'failed',
      'grouped',
      'parked',
      'paused',
      'ready',
      'scheduled',
      'served',
      'worked on',
      'Ω🙂"',
    ]);
    expect(queues[0]).toEqual({ queue: 'failed', ...NOBODY });
    expect(queues[3]).toMatchObject({ paused: { since: expect.any(Date) } });
    expect(queues[6]).toEqual({ queue: 'served', ...NOBODY, workers: 1, slots: 4 });
  });

  it('pages', async () => {
    const { admin, jobs } = await setup();
    for (const queue of ['a', 'b', 'c']) await jobs.insert(queue);
    const names = async (filter: object) => (await admin.queues.list(filter)).map((each) => each.queue);
    expect(await names({ limit: 2 })).toEqual(['a', 'b']);
    expect(await names({ after: 'b' })).toEqual(['c']);
    expect(await names({ after: 'c' })).toEqual([]);
  });

  it('looks at a few index entries for each queue, not at its jobs', async () => {
    const { database, admin, jobs } = await setup();
    await jobs.insertMany('big', 20_000);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload, run_at) select 'later', '{}', $1::timestamptz from generate_series(1, 20000)`,
      [LATER],
    );
    await database.query(`analyze ${jobs.schema}.jobs`);
    expect((await admin.queues.list()).map((each) => each.queue)).toEqual(['big', 'later']);
    const blocks = async () => {
      const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
        `explain (analyze, buffers, format json) select * from ${jobs.schema}.known_queues('', 1000)`,
      );
      const plan = row!['QUERY PLAN'][0].Plan;
      return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
    };
    for (let n = 0; n < 2; n += 1) await blocks(); // reads the catalogue
    expect(await blocks()).toBeLessThan(100); // 36 on PostgreSQL 18
  });
});

describe('queues.stats', () => {
  it('counts the jobs in each state', async () => {
    const { database, admin, jobs } = await setup();
    const hold = gate();
    await workingEngine(database, { mail: { concurrency: 2, handle: () => hold.pass() } });
    await jobs.insertMany('mail', 5);
    await hold.reached(2);
    await jobs.insert('mail', { group_key: 'a' });
    await jobs.insert('mail', { run_at: LATER });
    await jobs.insert('mail', { run_at: 'infinity' });
    await jobs.insert('mail', FAILED);
    await jobs.insert('other');
    expect(await admin.queues.stats('mail')).toEqual({
      queue: 'mail',
      ...NOBODY,
      workers: 1,
      slots: 2,
      ready: 4,
      running: 2,
      scheduled: 1,
      blocked: 1,
      failed: 1,
      capped: false,
      oldestReadyMs: expect.any(Number),
    });
  });

  it('says how long the oldest ready job has waited, whatever its priority and whoever is before it', async () => {
    const { admin, jobs } = await setup();
    expect(await admin.queues.stats('mail')).toMatchObject({ ready: 0, oldestReadyMs: undefined });
    await jobs.insert('mail');
    await jobs.insert('mail', { priority: 5, created_at: new Date(Date.now() - 60_000) });
    await jobs.insert('mail', { run_at: LATER, created_at: new Date(0) });
    const { oldestReadyMs } = await admin.queues.stats('mail');
    expect(oldestReadyMs).toBeGreaterThan(59_000);
    expect(oldestReadyMs).toBeLessThan(90_000);
  });

  it('stops to count', async () => {
    const { admin, jobs } = await setup();
    await jobs.insertMany('mail', 50);
    expect(await admin.queues.stats('mail', { countUpTo: 20 })).toMatchObject({ ready: 20, capped: true });
    expect(await admin.queues.stats('mail', { countUpTo: 51 })).toMatchObject({ ready: 50, capped: false });
    expect(await admin.queues.size('mail', { countUpTo: 20 })).toEqual({ count: 20, capped: true });
  });

  it('tells of quiet workers apart', async () => {
    const { database, admin } = await setup();
    await workingEngine(database, { mail: () => undefined });
    const [worker] = await admin.workers.list();
    await admin.workers.quiet(worker!.id);
    expect(await admin.queues.stats('mail')).toMatchObject({ workers: 0, quietWorkers: 1, slots: 0 });
  });
});

describe('queues.size', () => {
  it('counts the jobs that have not ended, or those in some states', async () => {
    const { admin, jobs } = await setup();
    await jobs.insertMany('mail', 3);
    await jobs.insert('mail', { run_at: LATER });
    await jobs.insert('mail', FAILED);
    expect(await admin.queues.size('mail')).toEqual({ count: 4, capped: false });
    expect(await admin.queues.size('mail', { state: 'failed' })).toEqual({ count: 1, capped: false });
    expect(await admin.queues.size('mail', { state: ['ready', 'ready', 'failed'] })).toMatchObject({
      count: 4,
    });
    expect(await admin.queues.size('nobody knows it')).toEqual({ count: 0, capped: false });
  });
});

describe.each([
  ['by notification', {}],
  ['without bells', { ...NO_BELLS, lease: SHORT_LEASE }],
])('queues.pause %s', (_name, options) => {
  it('holds up the queue everywhere until it is resumed, and keeps who did it, since when and why', async () => {
    const { database, admin, jobs } = await setup();
    for (let n = 0; n < 2; n += 1)
      await workingEngine(database, { mail: () => undefined, other: () => undefined }, options);
    await admin.queues.pause('mail', { reason: 'the mail server moves', by: 'ops' });
    const id = await jobs.insert('mail');
    await jobs.insert('other');
    await eventually(async () => expect(await jobs.all()).toMatchObject([{ id, state: 'ready' }]));
    expect(await admin.queues.stats('mail')).toMatchObject({
      ready: 1,
      paused: { by: 'ops', since: expect.any(Date), until: undefined, reason: 'the mail server moves' },
    });
    expect(await admin.queues.resume('mail')).toBe(true);
    expect(await admin.queues.resume('mail')).toBe(false);
    await jobs.empty();
    expect((await admin.queues.stats('mail')).paused).toBeUndefined();
  });
});

describe('queues.pause', () => {
  it('is over after a while', async () => {
    const { database, admin, jobs } = await setup();
    await admin.queues.pause('mail', { forMs: 300 });
    const { paused } = (await admin.queues.list())[0]!;
    expect(paused!.until!.getTime() - paused!.since.getTime()).toBe(300);
    await jobs.insert('mail');
    await workingEngine(database, { mail: () => undefined });
    await jobs.empty();
    expect(await admin.queues.resume('mail')).toBe(false);
  });

  it('says since when, also of a queue that was paused before', async () => {
    const { admin } = await setup();
    const since = async () => (await admin.queues.stats('mail')).paused!.since.getTime();
    await admin.queues.pause('mail', { until: new Date(LATER) });
    const first = await since();
    await admin.queues.pause('mail', { reason: 'another one' });
    expect(await since()).toBe(first);
    await admin.queues.pause('mail', { until: new Date(0) });
    await admin.queues.pause('mail');
    expect(await since()).toBeGreaterThan(first);
  });

  it('is by the role of the connection when nobody says otherwise', async () => {
    const { database, admin } = await setup();
    await admin.queues.pause('mail');
    expect((await admin.queues.stats('mail')).paused?.by).toBe(database.config.user);
  });

  it('refuses what it does not know', async () => {
    const { admin } = await setup();
    const problems = (options: object) =>
      admin.queues.pause('mail', options).catch((error: { problems: string[] }) => error.problems);
    expect(await problems({ untill: new Date() })).toEqual([expect.stringContaining('did you mean "until"')]);
    expect(await problems({ until: new Date(), forMs: 1 })).toEqual([
      'until: excludes forMs, and both were given',
    ]);
    expect(await problems({ forMs: 0, reason: '' })).toHaveLength(2);
    await expect(admin.queues.pause('')).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
    await expect(admin.queues.size('mail', { state: 'completed' as never })).rejects.toThrow("'failed'");
    await expect(admin.queues.list({ limit: 0 })).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('queues.purge', () => {
  const filled = async () => {
    const all = await setup();
    const hold = gate();
    const aborted: string[] = [];
    await workingEngine(all.database, {
      mail: {
        concurrency: 1,
        handle: async (job) =>
          hold.pass(job.signal).catch((error: unknown) => {
            aborted.push(job.id);
            throw error;
          }),
      },
    });
    const { jobs } = all;
    const running = await jobs.insert('mail');
    await hold.reached(1);
    await jobs.insertMany('mail', 1_200);
    await jobs.insert('mail', { group_key: 'a' });
    await jobs.insert('mail', { run_at: LATER });
    await jobs.insert('mail', { run_at: 'infinity' });
    const failed = await jobs.insert('mail', FAILED);
    const other = await jobs.insert('other');
    return { ...all, running, failed, other, hold, aborted };
  };

  it('deletes what waits, and leaves what runs and what has failed', async () => {
    const { admin, jobs, running, failed, other, hold, aborted } = await filled();
    const dry = await admin.queues.purge('mail', { dryRun: true });
    expect(dry).toMatchObject({ count: 1_203, aborting: 0, more: false });
    expect(dry.ids).toHaveLength(100);
    expect((await admin.queues.size('mail')).count).toBe(1_204);
    expect(await admin.queues.purge('mail')).toMatchObject({ count: 1_203, aborting: 0, ids: dry.ids });
    expect((await jobs.all()).map((job) => job.id)).toEqual([running, failed, other]);
    hold.open();
    await eventually(async () => expect((await jobs.all()).map((job) => job.id)).toEqual([failed, other]));
    expect(aborted).toEqual([]);
  });

  it('goes as far as it is told to', async () => {
    const { admin, jobs, running, other, aborted } = await filled();
    expect(await admin.queues.purge('mail', { states: ['failed'] })).toMatchObject({ count: 1 });
    const { count, aborting } = await admin.queues.purge('mail', { states: ['ready', 'running'] });
    expect(count).toBe(1_202);
    await eventually(async () => expect(await jobs.of(running)).toBeUndefined());
    await eventually(() => expect(aborted).toHaveLength(aborting)); // a slot that is freed takes the next one meanwhile
    expect(aborted[0]).toBe(running);
    expect((await jobs.all()).map((job) => job.state)).toEqual(['scheduled', 'blocked', 'ready']);
    expect((await jobs.all()).at(-1)).toMatchObject({ id: other });
  });

  it('lets go of the jobs that depend on what it deletes', async () => {
    const { database, admin, publisher } = await setup();
    const parent = await publisher.enqueue('mail', {});
    const cancelled = await publisher.enqueue('after', {}, { dependsOn: [parent] });
    const ignores = await publisher.enqueue('after', {}, { dependsOn: [parent], onParentFailure: 'ignore' });
    await admin.queues.purge('mail');
    const { log } = await workingEngine(database, { after: () => undefined });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: ignores.id }]);
    expect(await admin.jobs.get(cancelled.id)).toBeUndefined();
  });
});
