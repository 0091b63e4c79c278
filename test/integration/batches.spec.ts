import { describe, expect, it } from 'vitest';
import type { Job, Taskmaster } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { openEngine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { type HandlerEntry, NO_BELLS, workingEngine } from './support/working-engine.js';

/** An engine that works on parts, and notes what is enqueued at the end of a batch. */
const setup = async (part: HandlerEntry = () => undefined, options = {}) => {
  const database = await testDatabase();
  const ends = new SignalPoint<string>();
  const note = (job: Job<never>) =>
    ends.signal(`${job.queue} ${job.batch?.completed}/${job.batch?.failed}/${job.batch?.cancelled}`);
  const callbacks = { finished: note, succeeded: note, failed: note };
  const { taskmaster } = await workingEngine(database, { part, ...callbacks }, options);
  return { database, taskmaster, ends, jobs: new JobTable(database) };
};

const CALLBACKS = {
  onFinished: { queue: 'finished' },
  onSucceeded: { queue: 'succeeded' },
  onFailed: { queue: 'failed' },
};

const batchOf = ({ publisher }: Taskmaster, payloads: readonly unknown[], options = {}) =>
  publisher.batch(
    (batch) => {
      for (const payload of payloads) batch.add('part', payload);
    },
    { ...CALLBACKS, ...options },
  );

/** Waits until the batch has ended, and answers with what has become of it. */
const ended = ({ admin }: Taskmaster, id: string) =>
  eventually(async () => {
    const batch = await admin.batches.get(id);
    return batch?.finishedAt !== undefined && batch;
  });

describe('a batch', () => {
  it('enqueues its callbacks once, with the counts, when all its jobs have completed', async () => {
    const { taskmaster, ends, jobs } = await setup();
    const { id, jobs: enqueued } = await batchOf(taskmaster, [1, 2, 3]);
    expect(enqueued).toHaveLength(3);
    expect((await ends.count(2)).toSorted()).toEqual(['finished 3/0/0', 'succeeded 3/0/0']);
    expect(await ended(taskmaster, id)).toMatchObject({ closed: true, total: 3, completed: 3, failed: 0 });
    await jobs.empty();
    expect(ends.values).toHaveLength(2);
  });

  it('tells its jobs which batch they count in', async () => {
    const seen = new SignalPoint<unknown>();
    const { taskmaster } = await setup((job) => seen.signal(job.batch));
    const { id } = await batchOf(taskmaster, [1]);
    expect(await seen.count(1)).toEqual([{ id }]);
  });

  it('has failed when one of its jobs has, or was cancelled', async () => {
    const { taskmaster, ends } = await setup({
      maxAttempts: 1,
      handle: (job) => {
        if (Number(job.payload) === 2) throw new Error('no');
      },
    });
    await taskmaster.admin.queues.pause('part');
    const { id, jobs } = await batchOf(taskmaster, [1, 2, 3]);
    await taskmaster.admin.jobs.cancel(jobs[2]!.id);
    await taskmaster.admin.queues.resume('part');
    expect((await ends.count(2)).toSorted()).toEqual(['failed 1/1/1', 'finished 1/1/1']);
    expect(await ended(taskmaster, id)).toMatchObject({ total: 3, completed: 1, failed: 1, cancelled: 1 });
  });

  it('counts a failed job that is requeued, and sends no callback again', async () => {
    let broken = true;
    const { taskmaster, ends, jobs } = await setup({
      maxAttempts: 1,
      handle: () => {
        if (broken) throw new Error('no');
      },
    });
    const { id, jobs: enqueued } = await batchOf(taskmaster, [1]);
    await ends.count(2);
    broken = false;
    await taskmaster.admin.jobs.requeue(enqueued[0]!.id);
    await eventually(async () => (await taskmaster.admin.batches.get(id))?.completed === 1);
    expect(await taskmaster.admin.batches.get(id)).toMatchObject({ completed: 1, failed: 0 });
    await jobs.empty();
    expect(ends.values.toSorted()).toEqual(['failed 0/1/0', 'finished 0/1/0']);
  });

  it('without jobs has succeeded at once', async () => {
    const { taskmaster, ends } = await setup();
    await batchOf(taskmaster, []);
    expect((await ends.count(2)).toSorted()).toEqual(['finished 0/0/0', 'succeeded 0/0/0']);
  });

  it('is stored by the transaction that enqueues it, or not at all', async () => {
    const { taskmaster, database } = await setup();
    const client = await database.client();
    await client.query('begin');
    const { id } = await batchOf(taskmaster, [1], { tx: client });
    await client.query('rollback');
    expect(await taskmaster.admin.batches.get(id)).toBeUndefined();
    await taskmaster.publisher
      .withTransaction(async () => {
        await batchOf(taskmaster, [2]);
        throw new Error('undone');
      })
      .catch(() => undefined);
    expect(await database.query('select * from taskmaster.batches')).toEqual([]);
    expect(await database.query('select * from taskmaster.jobs')).toEqual([]);
  });

  it('does not count a unique job that is there already', async () => {
    const { taskmaster, ends } = await setup();
    await taskmaster.admin.queues.pause('part');
    const unique = { key: 'one' };
    await taskmaster.publisher.enqueue('part', 0, { unique });
    const { jobs } = await taskmaster.publisher.batch((batch) => {
      batch.add('part', 1, { unique });
      batch.add('part', 2);
    }, CALLBACKS);
    expect(jobs.map((job) => job.deduplicated)).toEqual([true, false]);
    await taskmaster.admin.queues.resume('part');
    expect(await ends.count(2)).toContain('finished 1/0/0');
  });

  it.each(['replace', 'merge', { debounceMs: 1 }] as const)(
    'keeps a member that is changed by an equal job: %j',
    async (onConflict) => {
      const seen = new SignalPoint<unknown>();
      const { taskmaster, ends } = await setup((job) => seen.signal([job.payload, job.batch]));
      await taskmaster.admin.queues.pause('part');
      const unique = { key: 'one', scope: 'pending', onConflict } as const;
      const { id } = await taskmaster.publisher.batch(
        (batch) => batch.add('part', { a: 1 }, { unique }),
        CALLBACKS,
      );
      await taskmaster.publisher.enqueue('part', { b: 2 }, { unique, headers: { of: 'the second' } });
      await taskmaster.admin.queues.resume('part');
      const payload = onConflict === 'merge' ? { a: 1, b: 2 } : { b: 2 };
      expect(await seen.count(1)).toEqual([[payload, { id }]]);
      expect(await ends.count(2)).toContain('finished 1/0/0');
    },
  );

  it('has no part in a copy of one of its jobs, and a copy of a callback keeps the counts', async () => {
    const batches = new SignalPoint<unknown>();
    const { taskmaster, database, ends } = await setup({
      retention: { completedMs: 60_000 },
      handle: (job) => batches.signal([job.payload, job.batch]),
    });
    const { id } = await taskmaster.publisher.batch((batch) => batch.add('part', 1), {
      onSucceeded: { queue: 'part', payload: 2 },
      onFinished: { queue: 'finished' },
    });
    await ends.count(1);
    await eventually(async () => {
      const [kept] = await database.query('select count(*)::integer as jobs from taskmaster.finished');
      return kept!['jobs'] === 2;
    });
    await taskmaster.admin.jobs.reprocess({ queue: 'part' });
    const callback = [2, { id, total: 1, completed: 1, failed: 0, cancelled: 0 }];
    const [member, last, ...copies] = await batches.count(4);
    expect([member, last]).toEqual([[1, { id }], callback]);
    expect(copies).toHaveLength(2);
    expect(copies).toEqual(expect.arrayContaining([[1, undefined], callback]));
  });

  it('that was counted by nobody when all workers were gone is counted by the next', async () => {
    const { taskmaster, database } = await setup();
    const { id, jobs } = await batchOf(taskmaster, [1], { open: true });
    await taskmaster.close();
    await database.query('delete from taskmaster.jobs where id = $1', [jobs[0]!.id]);
    await database.query('select taskmaster.close_batch($1)', [id]);
    const seen = new SignalPoint<unknown>();
    await workingEngine(database, { failed: (job) => seen.signal(job.batch), finished: () => undefined });
    expect(await seen.count(1, { timeoutMs: 25_000 })).toMatchObject([{ id }]);
  });

  it('ends by polling alone', async () => {
    const { taskmaster, ends } = await setup(() => undefined, NO_BELLS);
    await batchOf(taskmaster, [1, 2]);
    expect(await ends.count(2)).toContain('succeeded 2/0/0');
  });

  it('of ten thousand jobs ends once', async () => {
    const { taskmaster, ends } = await setup({ concurrency: 50, handle: () => undefined });
    await batchOf(
      taskmaster,
      Array.from({ length: 10_000 }, (_, n) => n),
    );
    expect((await ends.count(2, { timeoutMs: 28_000 })).toSorted()).toEqual([
      'finished 10000/0/0',
      'succeeded 10000/0/0',
    ]);
  });

  it('can be made in SQL', async () => {
    const { database, ends } = await setup();
    await database.query(
      `select taskmaster.enqueue_batch('[{"queue": "part"}, {"queue": "part", "payload": 1, "options": {"priority": 1}}]',
                                       '{"succeeded": {"queue": "succeeded", "payload": {"a": 1}}}')`,
    );
    expect(await ends.count(1)).toEqual(['succeeded 2/0/0']);
    await expect(database.query(`select taskmaster.enqueue_batch('[]', '{"done": {}}')`)).rejects.toThrow(
      'unknown callback',
    );
    for (const callback of ['{}', '"mail"', '{"queue": ""}', '{"queue": null}'])
      await expect(
        database.query(`select taskmaster.enqueue_batch('[]', jsonb_build_object('finished', $1::jsonb))`, [
          callback,
        ]),
      ).rejects.toThrow('a callback needs a queue');
  });

  it.each([
    [{ onFinished: 'finished' }, 'onFinished: expected a job'],
    [{ onFailed: { queue: '' } }, 'onFailed.queue'],
    [{ onFailed: { queue: 'x', priority: 1.5 } }, 'priority'],
    [{ onEnd: {} }, 'onEnd'],
    [{ onFinished: { queue: 'x', batch: '1' } }, 'onFinished.batch'],
  ])('refuses %j', async (options, problem) => {
    const { publisher } = await openEngine(await testDatabase());
    await expect(publisher.batch(() => undefined, options as never)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      message: expect.stringContaining(problem),
    });
  });
});

describe('an open batch', () => {
  it('takes jobs until it is closed, and ends with the last of them', async () => {
    const { taskmaster, ends, jobs } = await setup();
    const { id } = await batchOf(taskmaster, [1], { open: true });
    await jobs.empty();
    await taskmaster.publisher.enqueue('part', 2, { batch: id });
    await taskmaster.publisher.enqueueMany('part', [3, 4], { batch: { id } });
    await jobs.empty();
    expect(ends.values).toEqual([]);
    expect(await taskmaster.publisher.closeBatch(id)).toBe(true);
    expect((await ends.count(2)).toSorted()).toEqual(['finished 4/0/0', 'succeeded 4/0/0']);
    expect(await taskmaster.publisher.closeBatch({ id })).toBe(false);
  });

  it('takes jobs from its own jobs, also when it is closed', async () => {
    const { taskmaster, ends } = await setup(async (job) => {
      const depth = Number(job.payload);
      if (depth < 3) await taskmaster.publisher.enqueue('part', depth + 1, { batch: job.batch!.id });
    });
    const { id } = await batchOf(taskmaster, [1]);
    await ends.count(2);
    expect(await ended(taskmaster, id)).toMatchObject({ total: 3, completed: 3 });
  });

  it('that has ended takes none, and only that call fails', async () => {
    const { taskmaster, ends } = await setup();
    const { id } = await batchOf(taskmaster, [1]);
    await ends.count(2);
    const [late, other] = await Promise.allSettled([
      taskmaster.publisher.enqueue('part', 2, { batch: id }),
      taskmaster.publisher.enqueue('elsewhere', 3),
    ]);
    expect(late).toMatchObject({ status: 'rejected', reason: { code: 'TM_BATCH_ENDED' } });
    expect(other).toMatchObject({ status: 'fulfilled' });
    await expect(taskmaster.publisher.enqueue('part', 2, { batch: '4711' })).rejects.toMatchObject({
      code: 'TM_BATCH_ENDED',
    });
  });

  it('is not ended by whoever counts while jobs are added', async () => {
    const { taskmaster, ends } = await setup({ concurrency: 5, handle: () => undefined });
    const { id } = await batchOf(taskmaster, [], { open: true });
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => taskmaster.publisher.enqueue('part', n, { batch: id })),
    );
    await taskmaster.publisher.closeBatch(id);
    expect(await ends.count(2)).toContain('finished 200/0/0');
  });
});

describe('a dependency with a policy of its own', () => {
  it.each([
    ['cancel', undefined],
    ['fail', 'failed'],
    ['ignore', 'ran'],
  ] as const)('%s', async (onFailure, becomes) => {
    const { taskmaster, jobs, ends } = await setup({
      maxAttempts: 1,
      handle: (job) => {
        if (job.payload === 'bad') throw new Error('no');
      },
    });
    const [, , child] = await taskmaster.publisher.flow((flow) => {
      const bad = flow.add('part', 'bad');
      const good = flow.add('part', 'good');
      flow.add('finished', 0, { dependsOn: [{ job: bad, onFailure }, good], onParentFailure: 'cancel' });
    });
    if (becomes === 'failed') await jobs.in(child!.id, 'failed');
    else await eventually(async () => (await jobs.of(child!.id)) === undefined);
    expect(ends.values.length).toBe(becomes === 'ran' ? 1 : 0);
  });

  it('counts for a parent that has failed before, also in SQL', async () => {
    const { taskmaster, jobs, database } = await setup({
      maxAttempts: 1,
      handle: () => {
        throw new Error('no');
      },
    });
    const { id } = await taskmaster.publisher.enqueue('part');
    await jobs.in(id, 'failed');
    const child = await taskmaster.publisher.enqueue('child', 0, {
      dependsOn: [{ job: id, onFailure: 'fail' }],
    });
    expect(await jobs.of(child.id)).toMatchObject({ state: 'failed' });
    const [row] = await database.query<{ id: string }>(
      `select taskmaster.enqueue('child', '{}', jsonb_build_object('dependsOn', jsonb_build_array(
         jsonb_build_object('job', $1::text, 'onFailure', 'ignore'))))::text as id`,
      [id],
    );
    expect(await jobs.of(row!.id)).toMatchObject({ state: 'ready' });
  });

  it('is checked', async () => {
    const { publisher } = await openEngine(await testDatabase());
    const dependsOn = [{ job: '1', onFailure: 'panic' as never }];
    await expect(publisher.enqueue('child', 0, { dependsOn })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      message: expect.stringContaining('dependsOn[0].onFailure'),
    });
  });
});
