import { describe, expect, it } from 'vitest';
import { type Job, reject, retry, snooze } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { leaseToDead } from './support/dead-lease.js';
import { type JobState, JobTable } from './support/job-table.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

const PAST = '2020-01-01T00:00:00Z';
const SOON_MS = 60_000;
/** Waiting jobs are looked through once a minute: what a test sees before is what attempts see. */
const RARE = { lease: { ttlMs: 300_000, heartbeatMs: 60_000, heartbeat: 'main' } } as const;

const setup = async (
  handle: (job: Job<never>) => unknown = () => undefined,
  options: Parameters<typeof workingEngine>[2] = { lease: SHORT_LEASE },
) => {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const { log, taskmaster } = await workingEngine(database, { mail: { backoff: 5, handle } }, options);
  return { admin: taskmaster.admin, database, jobs, log, publisher: taskmaster.publisher };
};

describe('a job past its expiresAt', () => {
  it('is not begun: it fails with TM_EXPIRED', async () => {
    const ran: string[] = [];
    const { jobs, log } = await setup((job) => void ran.push(job.id), RARE);
    const id = await jobs.insert('mail', { expires_at: PAST });
    expect(await log.of('failed').count(1)).toMatchObject([
      { jobId: id, queue: 'mail', runCount: 1, cause: 'expired', error: { code: 'TM_EXPIRED' } },
    ]);
    expect(await jobs.of(id)).toMatchObject({
      state: 'failed',
      run_count: 1,
      last_error: { name: 'JobExpired', code: 'TM_EXPIRED' },
    });
    expect(ran).toEqual([]);
  });

  it('is not begun by a retry either, and keeps the reason', async () => {
    const { jobs, log } = await setup(undefined, RARE);
    const last_error = JSON.stringify({ name: 'Error', message: 'no route' });
    const id = await jobs.insert('mail', { expires_at: PAST, run_count: 2, last_error });
    await log.of('failed').count(1);
    expect(await jobs.of(id)).toMatchObject({
      run_count: 2,
      last_error: { code: 'TM_EXPIRED', cause: { message: 'no route' } },
    });
  });

  it.each([
    ['ready', {}],
    ['scheduled', { run_at: '2100-01-01' }],
    ['blocked', { run_at: 'infinity' }],
  ])('fails while it is %s in a queue that nobody works on', async (_state, columns) => {
    const { jobs, log } = await setup();
    const id = await jobs.insert('nobody', { expires_at: PAST, ...columns });
    expect(await log.of('failed').count(1)).toMatchObject([
      { jobId: id, queue: 'nobody', cause: 'expired', runMs: 0, error: { code: 'TM_EXPIRED' } },
    ]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', last_error: { code: 'TM_EXPIRED' } });
  });

  it('fails by the thousand, each once', async () => {
    const { database, jobs, log } = await setup();
    const ids = await jobs.insertMany('nobody', 1_200);
    const other = await workingEngine(database, { other: () => undefined });
    await database.query(`update ${jobs.schema}.jobs set expires_at = $1`, [PAST]);
    const failed = await eventually(async () => {
      const all = await jobs.all();
      return all.every((job) => job.state === 'failed') && all;
    });
    expect((failed as JobState[]).map((job) => job.id).toSorted()).toEqual(ids.toSorted());
    expect((failed as JobState[]).every((job) => job.run_count === 1)).toBe(true);
    const told = () => [...log.of('failed').values, ...other.log.of('failed').values];
    await eventually(() => told().length >= 1_200);
    expect(
      told()
        .map((event) => event.jobId)
        .toSorted(),
    ).toEqual(ids.toSorted());
  });

  it('is left to end when it runs', async () => {
    const hold = gate();
    const { database, jobs, log } = await setup(() => hold.pass());
    const id = await jobs.insert('mail');
    await hold.reached(1);
    await database.query(`update ${jobs.schema}.jobs set expires_at = $1`, [PAST]);
    const waiting = await jobs.insert('nobody', { expires_at: PAST });
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: waiting }]); // it has been looked for
    expect(await jobs.of(id)).toMatchObject({ state: 'running' });
    hold.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
  });

  it('that was running when its worker died is not begun again', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', { expires_at: PAST });
    await leaseToDead(database, 'mail');
    const { log } = await workingEngine(database, { mail: () => undefined });
    await log.of('rescued').count(1);
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, cause: 'expired' }]);
    expect(await jobs.of(id)).toMatchObject({
      run_count: 1,
      last_error: { cause: { code: 'TM_WORKER_LOST' } },
    });
  });
});

describe('a wait that would end after expiresAt', () => {
  it.each([
    ['a retry', () => retry({ delayMs: 2 * SOON_MS, reason: 'busy' }), 'busy'],
    ['a snooze', () => snooze(2 * SOON_MS), undefined],
  ])('is not begun: %s is a failure', async (_what, handle, message) => {
    const { jobs, log, publisher } = await setup(handle, RARE);
    const { id } = await publisher.enqueue('mail', {}, { expiresAt: new Date(Date.now() + SOON_MS) });
    const [failed] = await log.of('failed').count(1);
    expect(failed).toMatchObject({ jobId: id, runCount: 1, cause: 'expired', error: { code: 'TM_EXPIRED' } });
    expect(failed!.error.cause?.message).toBe(message);
    expect(await jobs.of(id)).toMatchObject({
      state: 'failed',
      run_count: 1,
      last_error: { code: 'TM_EXPIRED' },
    });
    expect(log.of('retried').values.length + log.of('snoozed').values.length).toBe(0);
  });

  it('keeps what the attempt has thrown, as the cause and in the history', async () => {
    const handle = () => {
      throw new Error('no route');
    };
    const { admin, log, publisher } = await setup(handle, RARE);
    const expiresAt = new Date(Date.now() + SOON_MS);
    const { id } = await publisher.enqueue('mail', {}, { expiresAt, backoff: 2 * SOON_MS });
    await log.of('failed').count(1);
    const { errors, lastError } = (await admin.jobs.get(id))!;
    expect(lastError).toMatchObject({ code: 'TM_EXPIRED', cause: { message: 'no route' } });
    expect(errors).toMatchObject([{ attempt: 1, message: 'no route' }]);
  });

  it('is begun when it ends before', async () => {
    const handle = (job: Job<never>) => (job.runCount === 1 ? retry({ delayMs: 1 }) : undefined);
    const { log, publisher } = await setup(handle);
    const { id } = await publisher.enqueue('mail', {}, { expiresAt: new Date(Date.now() + SOON_MS) });
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 2 }]);
  });
});

describe('expiresAt', () => {
  const at = new Date('2100-05-06T07:08:09.123Z');
  const stored = (jobs: JobTable, database: { query: (text: string) => Promise<object[]> }) =>
    database.query(`select queue_name, expires_at, meta from ${jobs.schema}.jobs order by id`);

  it('is an option of enqueue, alone and with others', async () => {
    const { database, jobs, publisher } = await setup();
    await publisher.enqueue('a', {}, { expiresAt: at });
    await publisher.enqueue('b', {}, { expiresAt: at, tags: ['x'] });
    await publisher.enqueueMany([{ queue: 'c', expiresAt: at }, { queue: 'd' }]);
    expect(await stored(jobs, database)).toEqual([
      { queue_name: 'a', expires_at: at, meta: null },
      { queue_name: 'b', expires_at: at, meta: { tags: ['x'] } },
      { queue_name: 'c', expires_at: at, meta: null },
      { queue_name: 'd', expires_at: null, meta: null },
    ]);
  });

  it('is an option of taskmaster.enqueue()', async () => {
    const { database, jobs } = await setup();
    await database.query(
      `select ${jobs.schema}.enqueue('a', '{}', '{"expiresAt": "2100-05-06T07:08:09.123Z", "tags": ["x"]}')`,
    );
    expect(await stored(jobs, database)).toEqual([
      { queue_name: 'a', expires_at: at, meta: { tags: ['x'] } },
    ]);
  });

  it('must be a date', async () => {
    const { publisher } = await setup();
    const call = publisher.enqueue('mail', {}, { expiresAt: '2100-01-01' as never });
    await expect(call).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: ['expiresAt: expected a valid Date of the years 1 to 9999, got "2100-01-01"'],
    });
  });

  it('that is over when the job is enqueued is no error: it fails', async () => {
    const { jobs, log, publisher } = await setup();
    const { id } = await publisher.enqueue('mail', {}, { expiresAt: new Date(0) });
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, cause: 'expired' }]);
    expect(await jobs.of(id)).toMatchObject({ state: 'failed' });
  });

  it('that is over is lifted when somebody lets the job run again', async () => {
    const { database, jobs, log } = await setup();
    await jobs.insert('mail', { expires_at: PAST });
    await log.of('failed').count(1);
    await database.query(`update ${jobs.schema}.jobs set run_count = 0`);
    await log.of('completed').count(1);
    await jobs.empty();
  });

  it('says nothing about jobs that are done in time', async () => {
    const { jobs, log, publisher } = await setup(() => reject('no'));
    const { id } = await publisher.enqueue('mail', {}, { expiresAt: new Date(Date.now() + SOON_MS) });
    expect(await log.of('failed').count(1)).toMatchObject([{ jobId: id, cause: 'reject' }]);
    expect(await jobs.of(id)).toMatchObject({ last_error: { message: 'no' } });
  });
});
