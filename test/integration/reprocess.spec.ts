import { describe, expect, it } from 'vitest';
import { InvalidPayloadError, type Job, reject } from '../../lib/engine/index.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

const DAY_MS = 86_400_000;

/** An engine whose queue keeps what has ended, and three jobs that have: two completed, one cancelled. */
const setup = async () => {
  const database = await testDatabase();
  const jobs = new JobTable(database);
  const handled: Job<{ n: number }>[] = [];
  const { taskmaster, log } = await workingEngine(database, {
    mail: {
      retention: { completedMs: DAY_MS, cancelledMs: DAY_MS },
      handle: (job: Job<never>) => {
        handled.push(job);
        if ((job.payload as { reject?: true }).reject) throw reject('no');
        return 'done';
      },
    },
  });
  const { admin, publisher } = taskmaster;
  const first = await publisher.enqueue(
    'mail',
    { n: 1 },
    { priority: 3, group: 'g', tags: ['t'], headers: { h: 'v' }, maxAttempts: 2, timeoutMs: 5_000 },
  );
  const second = await publisher.enqueue('mail', { n: 2 }, { unique: { key: 'k' } });
  await log.of('completed').count(2);
  const third = await publisher.enqueue('mail', { n: 3 }, { delayMs: DAY_MS });
  await admin.jobs.cancel(third.id);
  handled.length = 0;
  const ids = [first.id, second.id, third.id];
  const completed = (count: number) => log.of('completed').count(2 + count);
  return { database, jobs, admin, publisher, log, handled, ids, first, second, third, completed };
};

describe('jobs.reprocess', () => {
  it('enqueues a kept job again, as a new one that says where it comes from', async () => {
    const { admin, handled, first, completed } = await setup();
    const answer = await admin.jobs.reprocess(first.id);
    expect(answer).toEqual({ count: 1, ids: [first.id], newIds: [expect.any(String)], more: false });
    await completed(1);
    expect(handled).toMatchObject([
      {
        id: answer.newIds[0],
        payload: { n: 1 },
        runCount: 1,
        priority: 3,
        group: 'g',
        tags: ['t'],
        headers: { h: 'v' },
      },
    ]);
    expect(await admin.jobs.get(answer.newIds[0]!)).toMatchObject({
      state: 'completed',
      reprocessed: { id: first.id, state: 'completed', attempts: 1, finishedAt: expect.any(Date) },
    });
    expect(await admin.jobs.get(first.id)).toMatchObject({ state: 'completed', reprocessed: undefined });
  });

  it('does not carry over the unique key, and so is not in the way of a live job', async () => {
    const { database, admin, publisher, second, jobs } = await setup();
    await database.query(`select ${jobs.schema}.pause('mail')`);
    const live = await publisher.enqueue('mail', { n: 9 }, { unique: { key: 'k' } });
    const { newIds } = await admin.jobs.reprocess(second.id);
    expect(await admin.jobs.get(newIds[0]!)).toMatchObject({ uniqueKey: undefined, state: 'ready' });
    expect(await publisher.enqueue('mail', { n: 9 }, { unique: { key: 'k' } })).toMatchObject({
      id: live.id,
      deduplicated: true,
    });
  });

  it('takes those that match', async () => {
    const { admin, ids, third } = await setup();
    const count = async (filter: object) => (await admin.jobs.reprocess(filter, { dryRun: true })).count;
    expect(await admin.jobs.reprocess({ queue: 'mail' }, { dryRun: true })).toEqual({
      count: 3,
      ids,
      newIds: [],
      more: false,
    });
    expect(await count({ state: 'completed' })).toBe(2);
    expect(await count({ state: ['cancelled', 'failed'] })).toBe(1);
    expect(await count({ tags: ['t'] })).toBe(1);
    expect(await count({ errorCode: 'TM_CANCELLED' })).toBe(1);
    expect(await count({ finishedAfter: new Date() })).toBe(0);
    expect(await count({ finishedBefore: new Date(Date.now() + 60_000), queue: 'mail' })).toBe(3);
    expect(await count({ queue: 'other' })).toBe(0);
    expect(await admin.jobs.reprocess({ queue: 'mail' }, { dryRun: true, limit: 2 })).toMatchObject({
      count: 2,
      more: true,
    });
    expect(await count({ ids: [third.id, '424242'] })).toBe(1);
  });

  it('does it once, whoever else does the same, unless it is told to do it again', async () => {
    const { admin, handled, completed } = await setup();
    const answers = await Promise.all(
      [1, 2, 3].map(() => admin.jobs.reprocess({ queue: 'mail', state: 'completed' })),
    );
    expect(answers.reduce((sum, each) => sum + each.count, 0)).toBe(2);
    await completed(2);
    expect(handled.map((job) => job.payload.n).toSorted()).toEqual([1, 2]);
    const [one] = answers.flatMap((each) => each.ids);
    expect(await admin.jobs.reprocess(one!)).toMatchObject({ count: 0, newIds: [] });
    expect(await admin.jobs.reprocess(one!, { again: true })).toMatchObject({ count: 1 });
    await completed(3);
    const copies = { queue: 'mail', state: 'completed' } as const;
    expect(await admin.jobs.reprocess(copies, { dryRun: true })).toMatchObject({ count: 0 });
    expect(await admin.jobs.reprocess(copies, { dryRun: true, again: true })).toMatchObject({ count: 5 });
  });

  it('enqueues the payload that the edit makes', async () => {
    const { admin, handled, ids, completed } = await setup();
    const edit = ({ n }: { n: number }, job: { id: string }) => ({ n: n * 10, was: job.id });
    await admin.jobs.reprocess({ queue: 'mail' }, { edit });
    await completed(3);
    expect(handled.map((job) => job.payload).toSorted((a, b) => a.n - b.n)).toEqual(
      ids.map((id, index) => ({ n: (index + 1) * 10, was: id })),
    );
  });

  it('enqueues nothing when an edit makes no payload', async () => {
    const { admin, jobs } = await setup();
    await expect(admin.jobs.reprocess({ queue: 'mail' }, { edit: () => undefined })).rejects.toBeInstanceOf(
      InvalidPayloadError,
    );
    expect(await jobs.all()).toEqual([]);
  });

  it('does nothing about a job that is not kept, that has failed, or that is over its time', async () => {
    const { database, admin, jobs, publisher, log, first } = await setup();
    const failed = await publisher.enqueue('mail', { reject: true });
    await log.of('failed').count(1);
    await database.query(`update ${jobs.schema}.finished set expires_at = now() where id = $1`, [first.id]);
    for (const id of [failed.id, first.id, '424242'])
      expect(await admin.jobs.reprocess(id)).toMatchObject({ count: 0, newIds: [] });
  });

  it('goes on in the partitions of the days', async () => {
    const { database, admin, jobs, ids } = await setup();
    await database.query(`select ${jobs.schema}.prune(100)`);
    expect(await admin.jobs.reprocess({ queue: 'mail' }, { dryRun: true })).toMatchObject({ count: 3, ids });
    expect(await admin.jobs.reprocess({ queue: 'mail' })).toMatchObject({ count: 3, ids });
  });

  it('refuses what it does not know', async () => {
    const { admin } = await setup();
    await expect(admin.jobs.reprocess({ failedAfter: new Date() } as never)).rejects.toThrow('failedAfter');
    await expect(admin.jobs.reprocess({ state: 'ready' as never })).rejects.toThrow("'completed'");
    await expect(admin.jobs.reprocess('1', { edit: 'x' as never })).rejects.toThrow('a function');
  });
});
