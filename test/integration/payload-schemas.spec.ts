import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AnyQueue, defineQueue } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';

/** The same schema by each library: a name that is not empty, and copies, 1 by default. */
const QUEUES: Readonly<Record<string, AnyQueue>> = {
  zod: defineQueue('mail', { schema: z.object({ name: z.string().min(1), copies: z.int().default(1) }) }),
  valibot: defineQueue('mail', {
    schema: v.object({
      name: v.pipe(v.string(), v.minLength(1)),
      copies: v.optional(v.pipe(v.number(), v.integer()), 1),
    }),
  }),
  arktype: defineQueue('mail', { schema: type({ name: 'string > 0', copies: 'number.integer = 1' }) }),
};

describe.each(Object.entries(QUEUES))('a schema of %s', (_library, queue) => {
  const setup = async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    const handled = new SignalPoint<unknown>();
    taskmaster.register({ queue, label: 'mail', handle: (payload: unknown) => handled.signal(payload) });
    await taskmaster.start();
    return { database, taskmaster, handled, jobs: new JobTable(database) };
  };

  it('hands the handler what it makes of the payload, which is stored as it was given', async () => {
    const { taskmaster, handled, jobs, database } = await setup();
    await taskmaster.admin.queues.pause('mail');
    await taskmaster.publisher.enqueue(queue, { name: 'ada' });
    expect(await database.query(`select payload from ${jobs.schema}.jobs`)).toEqual([
      { payload: { name: 'ada' } },
    ]);
    await taskmaster.admin.queues.resume('mail');
    expect(await handled.count(1)).toEqual([{ name: 'ada', copies: 1 }]);
  });

  it('refuses a payload when it is enqueued, naming the path', async () => {
    const { taskmaster, jobs } = await setup();
    await expect(taskmaster.publisher.enqueue(queue, { name: 'ada', copies: 1.5 })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: 'payload.copies',
    });
    expect(await jobs.all()).toEqual([]);
  });

  it('fails a stored job at once whose payload it refuses, with the issues', async () => {
    const { handled, jobs } = await setup();
    const id = await jobs.insert('mail', { payload: '{"name": "", "copies": "many"}' });
    const job = await jobs.in(id, 'failed');
    expect(job).toMatchObject({ run_count: 1, last_error: { code: 'TM_INVALID_PAYLOAD' } });
    expect(job.last_error?.message).toMatch(/payload\.(name|copies).*payload\.(name|copies)/);
    expect(handled.values).toEqual([]);
  });
});
