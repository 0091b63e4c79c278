import { describe, expect, it } from 'vitest';
import { type Job, reject } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { type JobColumns, JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

/** A dead letter as the database writes it. */
const letterOf = (id: string, fields: object = {}) =>
  JSON.stringify({
    deadLetter: {
      queue: 'mail',
      id,
      attempts: 3,
      error: { name: 'Error', message: 'x' },
      failedAt: '2026-01-01T00:00:00Z',
      path: ['mail'],
      options: {},
      ...fields,
    },
  });

/** A dead-letter queue, and the admin of an engine that does not work. */
const setup = async () => {
  const database = await testDatabase();
  const { admin } = await openEngine(database);
  const table = new JobTable(database);
  const letter = (fields: object = {}, columns: JobColumns = {}) =>
    table.insert('dead', { meta: letterOf('7', fields), ...columns });
  return { database, jobs: admin.jobs, table, letter, rows: () => rowsIn(database) };
};

const rowsIn = (database: TestDatabase) =>
  database.query(
    `select id, queue_name, payload, priority, run_count, max_attempts, meta from "${database.schema}".jobs order by id`,
  );

describe('jobs.redrive', () => {
  it('moves dead letters back to where they come from: they run there, and are gone from here', async () => {
    const database = await testDatabase();
    const table = new JobTable(database);
    let broken = true;
    const handled = new SignalPoint<Job<never>>();
    const { log, taskmaster } = await workingEngine(database, {
      mail: {
        maxAttempts: 1,
        deadLetter: 'dead',
        handle: (job) => (broken ? reject('not yet') : handled.signal(job)),
      },
    });
    const { id } = await taskmaster.publisher.enqueue('mail', { to: 'a' }, { tags: ['t'], priority: 4 });
    await log.of('failed').count(1);
    broken = false;
    const [letter] = (await taskmaster.admin.jobs.list({ queue: 'dead' })).jobs;
    expect(await taskmaster.admin.jobs.redrive({ queue: 'dead' })).toEqual({
      count: 1,
      ids: [letter!.id],
      more: false,
    });
    const [job] = await handled.count(1);
    await log.of('completed').count(1);
    expect(job).toMatchObject({ queue: 'mail', payload: { to: 'a' }, runCount: 1, tags: ['t'], priority: 4 });
    expect(job!.deadLetter).toBeUndefined();
    expect([id, letter!.id]).not.toContain(job!.id);
    expect(await table.all()).toMatchObject([{ id, state: 'failed' }]); // the job it was a copy of stays
  });

  it('gives back the options of the job', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, {
      mail: { deadLetter: 'dead', handle: () => reject('no') },
    });
    const options = { maxAttempts: 4, timeoutMs: 9_000, backoff: [1, 2], headers: { h: 'v' } };
    await taskmaster.publisher.enqueue('mail', {}, { ...options, expiresAt: new Date('2100-01-01') });
    await log.of('failed').count(1);
    await taskmaster.stop();
    await taskmaster.admin.jobs.redrive({ queue: 'dead' });
    const [, redriven] = await database.query(
      `select *, '' as xid from "${database.schema}".jobs order by id`,
    );
    expect(redriven).toMatchObject({
      queue_name: 'mail',
      run_count: 0,
      max_attempts: 4,
      expires_at: null,
      last_error: null,
      meta: { timeoutMs: 9_000, backoff: [1, 2], headers: { h: 'v' } },
    });
    expect(Object.keys(redriven!['meta'] as object).toSorted()).toEqual(['backoff', 'headers', 'timeoutMs']);
  });

  it('makes other payloads', async () => {
    const { jobs, letter, rows } = await setup();
    await letter({}, { payload: '{"n": 1}' });
    const edit = ({ n }: { n: number }, job: { deadLetter: { attempts: number } | undefined }) => ({
      n: n + job.deadLetter!.attempts,
    });
    expect(await jobs.redrive({}, { edit })).toMatchObject({ count: 1 });
    expect(await rows()).toMatchObject([{ queue_name: 'mail', payload: { n: 4 }, meta: null }]);
  });

  it('moves nothing when an edit fails', async () => {
    const { jobs, letter, rows } = await setup();
    await letter();
    const before = await rows();
    await expect(jobs.redrive({}, { edit: () => undefined })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
    });
    expect(await rows()).toEqual(before);
  });

  it('moves letters that wait, that are scheduled, and that have failed', async () => {
    const { jobs, letter, table } = await setup();
    await letter({}, { run_at: '2100-01-01' });
    await letter({}, { run_at: 'infinity', failed_at: 'now', run_count: 3 });
    await letter();
    expect((await jobs.redrive({ queue: 'dead' })).count).toBe(3);
    expect((await table.all()).map(({ queue_name, state }) => `${queue_name} ${state}`)).toEqual(
      Array(3).fill('mail ready'),
    );
  });

  it('leaves a letter alone that is being handled', async () => {
    const database = await testDatabase();
    const table = new JobTable(database);
    const hold = gate();
    const { log, taskmaster } = await workingEngine(database, { dead: () => hold.pass() });
    const id = await table.insert('dead', { meta: letterOf('7') });
    await hold.reached(1);
    expect(await taskmaster.admin.jobs.redrive(id)).toMatchObject({ count: 0 });
    expect(await taskmaster.admin.jobs.redrive({}, { dryRun: true })).toMatchObject({ count: 0 });
    hold.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
    await table.empty();
  });

  it('leaves jobs alone that are no dead letters', async () => {
    const { jobs, table, rows } = await setup();
    const id = await table.insert('dead');
    await table.insert('dead', { meta: '{"deadLetter": {"queue": ""}}' });
    await table.insert('dead', { meta: '{"deadLetter": "x"}' });
    const before = await rows();
    expect(await jobs.redrive(id)).toMatchObject({ count: 0 });
    expect(await jobs.redrive({ queue: 'dead' })).toMatchObject({ count: 0 });
    expect(await rows()).toEqual(before);
  });

  it.each([
    ['source', { source: 'other' }, ['other']],
    ['errorName', { errorName: 'TypeError' }, ['type']],
    ['errorCode', { errorCode: 'E' }, ['code']],
    ['failedAfter', { failedAfter: new Date('2026-06-01') }, ['late']],
    ['queue', { queue: 'dead2' }, ['elsewhere']],
  ])('filters by %s, which is that of the job they are copies of', async (_name, filter, found) => {
    const { jobs, letter } = await setup();
    const ids: Record<string, string> = {
      other: await letter({ queue: 'other' }),
      type: await letter({ error: { name: 'TypeError' } }),
      code: await letter({ error: { name: 'Error', code: 'E' } }),
      late: await letter({ failedAt: '2026-07-01T00:00:00Z' }),
      elsewhere: await letter({}, { queue_name: 'dead2' }),
    };
    const expected = { count: 1, ids: found.map((name) => ids[name]), more: false };
    expect(await jobs.redrive(filter, { dryRun: true })).toEqual(expected);
    expect(await jobs.redrive(filter)).toEqual(expected);
  });

  it('stops at a limit, oldest first, and tells that there are more', async () => {
    const { jobs, letter, rows } = await setup();
    const ids = [await letter(), await letter(), await letter()];
    expect(await jobs.redrive({}, { limit: 2, dryRun: true })).toEqual({
      count: 2,
      ids: ids.slice(0, 2),
      more: true,
    });
    expect((await rows()).map((row) => row['queue_name'])).toEqual(['dead', 'dead', 'dead']);
    expect(await jobs.redrive({}, { limit: 2 })).toEqual({ count: 2, ids: ids.slice(0, 2), more: true });
    expect((await rows()).map((row) => row['queue_name'])).toEqual(['dead', 'mail', 'mail']);
  });

  it('brings a letter of a letter back one step', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, {
      a: { deadLetter: 'b', handle: () => reject('a') },
      b: { deadLetter: 'c', handle: () => reject('b') },
    });
    await new JobTable(database).insert('a');
    await log.of('failed').count(2);
    await taskmaster.stop();
    await taskmaster.admin.jobs.redrive({ queue: 'c' });
    expect((await rowsIn(database)).map((row) => row['queue_name'])).toEqual(['a', 'b', 'b']);
  });

  it('lets a job that fails again become a dead letter again', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, {
      mail: { deadLetter: 'dead', handle: () => reject('no') },
    });
    await new JobTable(database).insert('mail');
    await log.of('failed').count(1);
    await taskmaster.admin.jobs.redrive({ queue: 'dead' });
    await log.of('failed').count(2);
    expect((await taskmaster.admin.jobs.list({ queue: 'dead' })).jobs).toHaveLength(1);
  });

  it('refuses what it does not know', async () => {
    const { jobs } = await setup();
    await expect(jobs.redrive({ state: 'failed' } as never)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
    await expect(jobs.redrive({}, { edit: 5 } as never)).rejects.toMatchObject({
      problems: ['edit: expected a function, got 5'],
    });
  });
});
