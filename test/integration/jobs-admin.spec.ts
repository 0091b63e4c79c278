import { describe, expect, it } from 'vitest';
import { StatementPool } from '../../lib/engine/connection/statement-pool.js';
import { defineQueue, JobAdmin, type JobFilter, parseFilter, reject } from '../../lib/engine/index.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { idleWorker } from './support/idle-worker.js';
import { JobTable, type JobColumns } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const LATER = '2100-01-01T00:00:00Z';
const FAILED = { run_at: 'infinity', failed_at: '2026-01-01T00:00:00Z', run_count: 3 };
const error = (fields: object) => JSON.stringify({ name: 'Error', message: 'x', ...fields });

/** Jobs and the admin of an engine that does not work. */
const setup = async () => {
  const database = await testDatabase();
  const { admin } = await openEngine(database);
  const jobs = new JobTable(database);
  const failed = (columns: JobColumns = {}) => jobs.insert('mail', { ...FAILED, ...columns });
  const row = async (id: string) => {
    const [job] = await database.query(`select * from ${jobs.schema}.jobs where id = $1`, [id]);
    return job;
  };
  return { database, jobs: admin.jobs, table: jobs, failed, row };
};

describe('jobs.get', () => {
  it('tells all there is to tell of a job', async () => {
    const { jobs, failed } = await setup();
    const id = await failed({
      payload: '{"to": "a"}',
      priority: 3,
      max_attempts: 4,
      crash_count: 1,
      created_at: '2025-01-01T00:00:00Z',
      expires_at: LATER,
      last_error: error({ code: 'E' }),
      errors: JSON.stringify([
        { name: 'Error', message: 'y', at: '2026-01-01T00:00:00Z', attempt: 2, worker: 'a:1' },
      ]),
      meta: JSON.stringify({ tags: ['t'], headers: { h: 'v' } }),
    });
    expect(await jobs.get(id)).toEqual({
      id,
      queue: 'mail',
      state: 'failed',
      payload: { to: 'a' },
      runCount: 3,
      crashCount: 1,
      maxAttempts: 4,
      priority: 3,
      createdAt: new Date('2025-01-01T00:00:00Z'),
      runAt: undefined,
      failedAt: new Date('2026-01-01T00:00:00Z'),
      finishedAt: undefined,
      expiresAt: new Date(LATER),
      lastError: { name: 'Error', message: 'x', code: 'E' },
      errors: [
        { name: 'Error', message: 'y', at: new Date('2026-01-01T00:00:00Z'), attempt: 2, worker: 'a:1' },
      ],
      result: undefined,
      progress: undefined,
      log: [],
      lockedAt: undefined,
      lockedBy: undefined,
      group: undefined,
      uniqueKey: undefined,
      tags: ['t'],
      headers: { h: 'v' },
      deadLetter: undefined,
    });
  });

  it('tells who runs a running job', async () => {
    const database = await testDatabase();
    const hold = gate();
    const { taskmaster } = await workingEngine(database, { mail: () => hold.pass() });
    const { id } = await taskmaster.publisher.enqueue('mail');
    await hold.reached(1);
    const [worker] = await new JobTable(database).workers();
    expect(await taskmaster.admin.jobs.get(id)).toMatchObject({
      state: 'running',
      lockedBy: worker,
      lockedAt: expect.any(Date),
    });
  });

  it('tells of a job that has ended and is kept', async () => {
    const database = await testDatabase();
    const retention = { completedMs: 60_000 };
    const { log, taskmaster } = await workingEngine(database, {
      mail: { retention, handle: () => ({ sent: true }) },
    });
    const { admin, publisher } = taskmaster;
    const { id } = await publisher.enqueue('mail', { to: 'a' }, { tags: ['t'] });
    await log.of('completed').count(1);
    expect(await admin.jobs.get(id)).toMatchObject({
      state: 'completed',
      payload: { to: 'a' },
      result: { sent: true },
      finishedAt: expect.any(Date),
      failedAt: undefined,
      tags: ['t'],
    });
    const { id: waiting } = await publisher.enqueue('nobody');
    expect((await admin.jobs.list()).jobs.map((job) => job.id)).toEqual([waiting, id]);
    expect((await admin.jobs.list({ state: 'completed' })).jobs.map((job) => job.id)).toEqual([id]);
    expect(await admin.jobs.retry(id)).toMatchObject({ count: 0 });
    expect(await admin.jobs.delete(id)).toBe(false);
  });

  it('answers undefined for a job that is not there, and refuses what is no id', async () => {
    const { jobs } = await setup();
    expect(await jobs.get('9223372036854775807')).toBeUndefined();
    for (const id of ['', 'x', '1; drop table jobs', '-1', '9223372036854775808', 5, undefined])
      await expect(jobs.get(id as string)).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });

  it('hands out payloads of plain SQL without keys that pollute prototypes', async () => {
    const { jobs, table } = await setup();
    const id = await table.insert('mail', { payload: '{"__proto__": {"admin": true}, "a": 1}' });
    expect(Object.keys((await jobs.get(id))!.payload as object)).toEqual(['a']);
  });
});

describe('jobs.list', () => {
  it('tells of all jobs, newest first, a page at a time', async () => {
    const { jobs, table } = await setup();
    const ids = (await table.insertMany('mail', 25)).toReversed();
    const first = await jobs.list({}, { limit: 10 });
    expect(first.jobs.map((job) => job.id)).toEqual(ids.slice(0, 10));
    await table.insert('mail'); // newer ones do not shift the pages
    const second = await jobs.list({}, { limit: 10, cursor: first.cursor! });
    expect(second.jobs.map((job) => job.id)).toEqual(ids.slice(10, 20));
    const third = await jobs.list({}, { limit: 10, cursor: second.cursor! });
    expect(third.jobs.map((job) => job.id)).toEqual(ids.slice(20));
    expect(third.cursor).toBeUndefined();
  });

  it('tells of an empty table', async () => {
    const { jobs } = await setup();
    expect(await jobs.list()).toEqual({ jobs: [], cursor: undefined });
  });

  const filters: [name: string, filter: JobFilter & { state?: 'failed' }, found: string[]][] = [
    ['queue', { queue: 'other' }, ['other']],
    ['queue, several and definitions', { queue: [defineQueue('other'), 'third'] }, ['other', 'third']],
    ['state', { state: 'failed' }, ['type', 'reset', 'tagged']],
    ['errorName', { errorName: 'TypeError' }, ['type']],
    ['errorCode', { errorCode: 'ECONNRESET' }, ['reset']],
    ['failedAfter', { failedAfter: new Date('2026-01-15') }, ['reset', 'tagged']],
    ['failedBefore', { failedBefore: new Date('2026-02-15') }, ['type', 'reset']],
    ['both', { failedAfter: new Date('2026-01-15'), failedBefore: new Date('2026-02-15') }, ['reset']],
    ['olderThanMs', { olderThanMs: 86_400_000 }, ['old']],
    ['tags', { tags: ['a', 'b'] }, ['tagged']],
    ['nothing that is there', { tags: ['c'], queue: 'mail' }, []],
  ];

  it.each(filters)('filters by %s', async (_name, filter, found) => {
    const { jobs, table, failed } = await setup();
    const ids: Record<string, string> = {
      ready: await table.insert('mail'),
      old: await table.insert('mail', { created_at: '2020-01-01' }),
      other: await table.insert('other', { run_at: LATER }),
      third: await table.insert('third'),
      type: await failed({ last_error: error({ name: 'TypeError' }), failed_at: '2026-01-01' }),
      reset: await failed({ last_error: error({ code: 'ECONNRESET' }), failed_at: '2026-02-01' }),
      tagged: await failed({ meta: '{"tags": ["a", "b", "x"]}', failed_at: '2026-03-01' }),
    };
    const { jobs: page } = await jobs.list(filter);
    expect(page.map((job) => job.id)).toEqual(found.map((name) => ids[name]).toReversed());
  });

  const fields: [filter: string, found: string[]][] = [
    ['payload.user.id:42', ['number', 'text']],
    ['payload.user.id:42 payload.list.1:b', ['text']],
    ['payload.user:42', []],
    ['key:k', ['keyed']],
    ['group:g', ['grouped']],
    ['attempts:>=3', ['reset', 'timeout']],
    ['attempts:<1 created:<2021-01-01', ['old']],
    ['created:>2019-01-01 created:<2021-01-01', ['old']],
    ['error:"connection RESET"', ['reset']],
    ['error:econnreset', ['reset']],
    ['error:%', []],
  ];

  it.each(fields)('finds %s', async (text, found) => {
    const { jobs, table, failed } = await setup();
    const ids: Record<string, string> = {
      number: await table.insert('mail', { payload: '{"user": {"id": 42}, "list": ["a", "c"]}' }),
      text: await table.insert('mail', { payload: '{"user": {"id": "42"}, "list": ["a", "b"]}' }),
      keyed: await table.insert('mail', { unique_key: 'k' }),
      grouped: await table.insert('mail', { group_key: 'g' }),
      old: await table.insert('mail', { created_at: '2020-01-01' }),
      reset: await failed({ last_error: error({ code: 'ECONNRESET', message: 'Connection reset by peer' }) }),
      timeout: await failed({ last_error: error({ name: 'TimeoutError' }) }),
    };
    const { jobs: page } = await jobs.list(parseFilter(text));
    expect(page.map((job) => job.id)).toEqual(found.map((name) => ids[name]).toReversed());
  });

  it('filters by ids', async () => {
    const { jobs, table } = await setup();
    const ids = await table.insertMany('mail', 5);
    expect((await jobs.list({ ids: [ids[3]!, ids[1]!, '99'] })).jobs.map((job) => job.id)).toEqual([
      ids[3],
      ids[1],
    ]);
    expect((await jobs.list({ ids: [] })).jobs).toEqual([]);
  });

  it('refuses filters and pages that it does not know', async () => {
    const { jobs } = await setup();
    const bad = jobs.list({ queu: 'mail', state: 'dead', ids: ['x'], tags: [] } as never, {});
    await expect(bad).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: [
        'queu: unknown option, did you mean "queue"?',
        expect.stringContaining("state: expected 'scheduled' or "),
        'ids[0]: expected the id of a job, a string of digits, got "x"',
        'tags: expected at least 1 element, got 0',
      ],
    });
    await expect(jobs.list({}, { cursor: 'x', limit: 1_001 })).rejects.toMatchObject({
      problems: [expect.stringContaining('cursor: '), 'limit: expected an integer from 1 to 1000, got 1001'],
    });
  });
});

describe('jobs.retry', () => {
  it('lets a failed job run now, and keeps what it has been through', async () => {
    const { jobs, failed, row } = await setup();
    const errors = [{ name: 'Error', message: 'y', at: '2026-01-01T00:00:00Z', attempt: 3 }];
    const id = await failed({ last_error: error({}), errors: JSON.stringify(errors), crash_count: 1 });
    const before = await row(id);
    expect(await jobs.retry(id)).toEqual({ count: 1, ids: [id], more: false });
    const after = await row(id);
    expect(after).toMatchObject({
      run_at: null,
      failed_at: null,
      run_count: 3,
      crash_count: 1,
      errors,
      last_error: { message: 'x' },
    });
    expect(Number(after!['seq'])).toBeGreaterThan(Number(before!['seq']));
  });

  it('gives one more attempt to a job that has none left', async () => {
    const database = await testDatabase();
    const handle = () => reject('again');
    const { log, taskmaster } = await workingEngine(database, { mail: { maxAttempts: 3, handle } });
    const id = await new JobTable(database).insert('mail', FAILED);
    expect((await taskmaster.admin.jobs.retry(id)).count).toBe(1);
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, runCount: 4, cause: 'reject' }]);
    expect((await taskmaster.admin.jobs.retry(id)).count).toBe(1);
    expect(await log.of('failed').count(2)).toMatchObject([{}, { jobId: id, runCount: 5, cause: 'reject' }]);
  });

  it('gives one more attempt, and no further retry, where it fails again', async () => {
    const database = await testDatabase();
    const handle = () => {
      throw new Error('x');
    };
    const { log, taskmaster } = await workingEngine(database, { mail: { maxAttempts: 1, handle } });
    const id = await new JobTable(database).insert('mail', { ...FAILED, run_count: 1 });
    await taskmaster.admin.jobs.retry(id);
    expect(await log.of('failed').count(1)).toMatchObject([{ runCount: 2, cause: 'exhausted' }]);
    expect(log.of('retried').values).toEqual([]);
  });

  it('gives the attempts that are left to a job that was rejected before', async () => {
    const database = await testDatabase();
    const handle = () => {
      throw new Error('x');
    };
    const { log, taskmaster } = await workingEngine(database, {
      mail: { maxAttempts: 5, backoff: 1, handle },
    });
    const id = await new JobTable(database).insert('mail', { ...FAILED, run_count: 2 });
    await taskmaster.admin.jobs.retry(id);
    expect(await log.of('failed').count(1)).toMatchObject([{ runCount: 5 }]);
    expect(log.of('started').values.map((event) => event.runCount)).toEqual([3, 4, 5]);
  });

  it('lets a job that waits for its retry run now', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, { mail: () => undefined });
    const id = await new JobTable(database).insert('mail', { run_at: LATER, run_count: 2 });
    expect((await taskmaster.admin.jobs.retry(id)).count).toBe(1);
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 3 }]);
  });

  it('tells the workers of its own process, which need no bell then', async () => {
    const database = await testDatabase();
    const { pool } = await openEngine(database);
    const told: unknown[] = [];
    const tables = tablesOf(database.schema);
    const statements = new StatementPool({
      pool,
      tables,
      named: () => true,
      target: () => database.name,
      ready: () => Promise.resolve(),
    });
    const onCommitted = (...committed: unknown[]) => told.push(committed);
    const jobs = new JobAdmin({
      statements,
      maxPayloadBytes: 1_000,
      encryptionOf: () => undefined,
      onCommitted,
    });
    const table = new JobTable(database);
    const [first, second] = [await table.insert('mail', FAILED), await table.insert('mail', FAILED)];
    const letter = await table.insert('dead', { meta: '{"deadLetter": {"queue": "source"}}' });
    await jobs.retry(first);
    await jobs.requeue(second, { delayMs: 5_000, queue: 'other' });
    await jobs.redrive(letter);
    await jobs.retry('99');
    expect(told).toEqual([
      ['mail', undefined],
      ['other', 5_000],
      ['source', undefined],
    ]);
  });

  it('rings the bell of idle workers elsewhere', async () => {
    const { database, bells, handled } = await idleWorker();
    const { admin } = await openEngine(database, { name: 'other' });
    const id = await new JobTable(database).insert('mail', FAILED);
    await admin.jobs.retry(id);
    expect((await handled.count(1))[0]!.id).toBe(id);
    expect(bells.values).toContain('mail');
  });

  it('is for failed jobs, of those that match', async () => {
    const { jobs, table, failed } = await setup();
    const ids = [await failed(), await failed()];
    await failed({ queue_name: 'other' });
    const scheduled = await table.insert('mail', { run_at: LATER });
    await table.insert('mail');
    expect(await jobs.retry({ queue: 'mail' })).toEqual({ count: 2, ids, more: false });
    expect(await jobs.retry({ queue: 'mail', state: 'scheduled' })).toEqual({
      count: 1,
      ids: [scheduled],
      more: false,
    });
    expect((await table.all()).map(({ queue_name, state }) => `${queue_name} ${state}`)).toEqual([
      'mail ready',
      'mail ready',
      'other failed',
      'mail ready',
      'mail ready',
    ]);
  });

  it('never touches jobs that are ready, running or blocked', async () => {
    const database = await testDatabase();
    const hold = gate();
    const { taskmaster } = await workingEngine(database, { mail: () => hold.pass() });
    const table = new JobTable(database);
    const running = await table.insert('mail', { run_count: 2 });
    await hold.reached(1);
    const ready = await table.insert('nobody', { run_count: 2 });
    const blocked = await table.insert('mail', { run_at: 'infinity' });
    const tokens = () => database.query(`select id, seq, run_at from ${table.schema}.jobs order by id`);
    const before = await tokens();
    expect(await taskmaster.admin.jobs.retry({ ids: [running, ready, blocked] })).toMatchObject({ count: 0 });
    expect(await taskmaster.admin.jobs.requeue({ ids: [running, ready, blocked] })).toMatchObject({
      count: 0,
    });
    expect(await tokens()).toEqual(before);
  });

  it('answers with 0 for a job that is not there', async () => {
    const { jobs } = await setup();
    expect(await jobs.retry('42')).toEqual({ count: 0, ids: [], more: false });
  });

  it('tells with `dryRun` how many and which it would be, and does nothing', async () => {
    const { database, jobs, table, failed } = await setup();
    const ids = [await failed(), await failed(), await failed()];
    const before = await database.query(`select * from ${table.schema}.jobs order by id`);
    expect(await jobs.retry({}, { dryRun: true })).toEqual({ count: 3, ids, more: false });
    expect(await jobs.retry({}, { dryRun: true, limit: 2 })).toEqual({
      count: 2,
      ids: ids.slice(0, 2),
      more: true,
    });
    expect(await jobs.retry({ errorCode: 'E' }, { dryRun: true })).toEqual({
      count: 0,
      ids: [],
      more: false,
    });
    expect(await database.query(`select * from ${table.schema}.jobs order by id`)).toEqual(before);
  });

  it('goes through thousands in parts, tells of a hundred, and stops at a limit', async () => {
    const { database, jobs, table } = await setup();
    const ids = await table.insertMany('mail', 1_700);
    await database.query(
      `update ${table.schema}.jobs set run_at = 'infinity', failed_at = now(), run_count = 1`,
    );
    const first = await jobs.retry({ queue: 'mail' }, { limit: 1_200 });
    expect(first).toEqual({ count: 1_200, ids: ids.slice(0, 100), more: true });
    const transactions = await database.query(
      `select count(distinct xmin::text)::integer as count from ${table.schema}.jobs where failed_at is null`,
    );
    expect(transactions).toEqual([{ count: 3 }]);
    expect(await jobs.retry({ queue: 'mail' })).toEqual({
      count: 500,
      ids: ids.slice(1_200, 1_300),
      more: false,
    });
    expect((await table.all()).every((job) => job.state === 'ready')).toBe(true);
  });

  it('passes over a job whose unique key another has taken', async () => {
    const { jobs, table, failed } = await setup();
    const old = await failed({ unique_key: 'k' });
    const other = await failed({ unique_key: 'l' });
    await table.insert('mail', { unique_key: 'k' });
    expect(await jobs.retry({ queue: 'mail' })).toMatchObject({ count: 1, ids: [other] });
    expect(await jobs.requeue(old)).toMatchObject({ count: 0 });
    expect(await table.of(old)).toMatchObject({ state: 'failed' });
  });

  it('is a function of SQL too', async () => {
    const { database, table, failed } = await setup();
    const id = await failed();
    const retry = async (job: string) =>
      (await database.query(`select ${table.schema}.retry($1) as done`, [job]))[0]!['done'];
    expect(await retry(id)).toBe(true);
    expect(await table.of(id)).toMatchObject({ state: 'ready', run_count: 3 });
    expect(await retry(id)).toBe(false);
    expect(await retry('99')).toBe(false);
  });

  it('refuses what it does not know', async () => {
    const { jobs } = await setup();
    await expect(jobs.retry({ state: 'ready' } as never)).rejects.toMatchObject({
      problems: ["state: expected 'failed' or 'scheduled', got \"ready\""],
    });
    await expect(jobs.retry('x')).rejects.toMatchObject({
      problems: [expect.stringContaining('id: expected the id')],
    });
    await expect(jobs.retry(undefined as never)).rejects.toMatchObject({
      problems: ['filter: expected the id of a job, or a filter, got undefined'],
    });
    await expect(jobs.retry({}, { limit: 0, dry: true } as never)).rejects.toMatchObject({
      problems: [
        expect.stringContaining('limit: expected an integer from 1'),
        expect.stringContaining('dry: unknown'),
      ],
    });
  });
});

describe('jobs.requeue', () => {
  it('lets a failed job begin anew, as setting its run_count to 0 does', async () => {
    const { database, jobs, table, failed, row } = await setup();
    const columns = {
      crash_count: 3,
      run_alone: true,
      last_error: error({}),
      expires_at: '2020-01-01',
      meta: '{"granted": 4}',
    };
    const [ours, theirs] = [await failed(columns), await failed(columns)];
    expect(await jobs.requeue(ours)).toEqual({ count: 1, ids: [ours], more: false });
    await database.query(`update ${table.schema}.jobs set run_count = 0 where id = $1`, [theirs]);
    const without = ({
      id: _id,
      seq: _seq,
      ready_at: _readyAt,
      created_at: _createdAt,
      ...rest
    }: Record<string, unknown>) => rest;
    expect(without((await row(ours))!)).toEqual(without((await row(theirs))!));
    expect(await row(ours)).toMatchObject({
      run_at: null,
      run_count: 0,
      crash_count: 0,
      run_alone: false,
      expires_at: null,
      meta: null,
    });
  });

  it('takes another payload for one job', async () => {
    const { jobs, failed, row } = await setup();
    const id = await failed({ payload: '{"to": "a"}' });
    await jobs.requeue(id, { payload: { to: 'b' } });
    expect(await row(id)).toMatchObject({ payload: { to: 'b' }, run_count: 0 });
  });

  it('makes other payloads of many', async () => {
    const { jobs, failed, row } = await setup();
    const ids = [await failed({ payload: '{"n": 1}' }), await failed({ payload: '{"n": 2}' })];
    const edit = ({ n }: { n: number }, job: { id: string }) => Promise.resolve({ n: n * 10, was: job.id });
    expect(await jobs.requeue({ queue: 'mail' }, { edit })).toMatchObject({ count: 2 });
    expect((await row(ids[0]!))!['payload']).toEqual({ n: 10, was: ids[0] });
    expect((await row(ids[1]!))!['payload']).toEqual({ n: 20, was: ids[1] });
  });

  it('stores nothing when an edit throws, returns nothing, or makes what is no payload', async () => {
    const { database, jobs, table, failed } = await setup();
    await failed();
    await failed();
    const before = await database.query(`select * from ${table.schema}.jobs order by id`);
    const broken = () => {
      throw new Error('broken edit');
    };
    await expect(jobs.requeue({}, { edit: broken })).rejects.toThrow('broken edit');
    await expect(jobs.requeue({}, { edit: () => undefined })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
    });
    await expect(jobs.requeue({}, { edit: () => ({ at: 1n }) })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
    });
    expect(await database.query(`select * from ${table.schema}.jobs order by id`)).toEqual(before);
  });

  it('changes no job that somebody has changed while its payload was edited', async () => {
    const { database, jobs, table, failed, row } = await setup();
    const id = await failed({ payload: '1' });
    const edit = async () => {
      await database.query(`select ${table.schema}.retry($1)`, [id]);
      return 2;
    };
    expect(await jobs.requeue({}, { edit })).toMatchObject({ count: 0 });
    expect(await row(id)).toMatchObject({ payload: 1, run_count: 3, failed_at: null });
  });

  it('waits for `delayMs`', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, { mail: () => undefined });
    const table = new JobTable(database);
    const [later, soon] = [await table.insert('mail', FAILED), await table.insert('mail', FAILED)];
    await taskmaster.admin.jobs.requeue(later, { delayMs: 60_000 });
    expect(await table.of(later)).toMatchObject({ state: 'scheduled', run_count: 0 });
    await taskmaster.admin.jobs.requeue(soon, { delayMs: 20 });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: soon, runCount: 1 }]);
  });

  it('moves jobs to another queue', async () => {
    const database = await testDatabase();
    const { log, taskmaster } = await workingEngine(database, { other: () => undefined });
    const id = await new JobTable(database).insert('mail', { ...FAILED, unique_key: 'k' });
    await taskmaster.admin.jobs.requeue({ queue: 'mail' }, { queue: defineQueue('other') });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, queue: 'other', runCount: 1 }]);
  });

  it('lets a job that waits for its retry begin anew', async () => {
    const { jobs, table, row } = await setup();
    const id = await table.insert('mail', { run_at: LATER, run_count: 2 });
    expect(await jobs.requeue({ state: 'scheduled' })).toMatchObject({ count: 1 });
    expect(await row(id)).toMatchObject({ run_at: null, run_count: 0 });
  });

  it('ends although what it has changed matches again', async () => {
    const { database, jobs, table } = await setup();
    await table.insertMany('mail', 1_100);
    await database.query(`update ${table.schema}.jobs set run_at = $1`, [LATER]);
    expect((await jobs.requeue({ state: 'scheduled' }, { delayMs: 60_000 })).count).toBe(1_100);
  });

  it('refuses a payload for many, and with an edit', async () => {
    const { jobs } = await setup();
    await expect(jobs.requeue({}, { payload: 1 })).rejects.toMatchObject({
      problems: ['payload: is for one job, by its id; with a filter use edit, which makes each payload'],
    });
    await expect(jobs.requeue('1', { payload: 1, edit: () => 2 })).rejects.toMatchObject({
      problems: ['payload: excludes edit, and both were given'],
    });
    await expect(jobs.requeue('1', { queue: '' })).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});

describe('jobs.delete', () => {
  it.each([
    ['failed', FAILED],
    ['scheduled', { run_at: LATER }],
    ['blocked', { run_at: 'infinity' }],
    ['ready', {}],
  ])('deletes a %s job', async (_state, columns) => {
    const { jobs, table } = await setup();
    const id = await table.insert('mail', columns);
    const other = await table.insert('mail', columns);
    expect(await jobs.delete(id)).toBe(true);
    expect(await jobs.delete(id)).toBe(false);
    expect((await table.all()).map((job) => job.id)).toEqual([other]);
  });

  it('leaves a running job to its handler', async () => {
    const database = await testDatabase();
    const hold = gate();
    const { log, taskmaster } = await workingEngine(database, { mail: () => hold.pass() });
    const { id } = await taskmaster.publisher.enqueue('mail');
    await hold.reached(1);
    expect(await taskmaster.admin.jobs.delete(id)).toBe(false);
    hold.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
  });
});

describe('the admin of a closed engine', () => {
  it('rejects with TM_CLOSED', async () => {
    const taskmaster = await openEngine(await testDatabase());
    await taskmaster.close();
    await expect(taskmaster.admin.jobs.retry('1')).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });
});
