import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineQueue } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';

const schema = z.object({ to: z.email(), copies: z.number().int() });

/** A job in the table that no publisher would have let through. */
const setup = async (
  options: { onInvalid?: 'fail' | 'retry'; maxAttempts?: number; backoff?: number } = {},
) => {
  const database = await testDatabase();
  const handled = new SignalPoint<unknown>();
  const taskmaster = engine(database);
  taskmaster.register({
    queue: defineQueue('mail', { schema, ...options }),
    label: 'mail',
    handle: (payload) => handled.signal(payload),
  });
  const jobs = new JobTable(database);
  const id = await jobs.insert('mail', { payload: '{"to": "nobody", "copies": 1.5}' });
  await taskmaster.start();
  return { handled, jobs, id, taskmaster };
};

describe('a stored payload that the schema refuses', () => {
  it('fails its job at once, with the issues listed, and never comes to the handler', async () => {
    const { handled, jobs, id } = await setup();
    const job = await jobs.in(id, 'failed');
    expect(job).toMatchObject({ run_count: 1, last_error: { code: 'TM_INVALID_PAYLOAD' } });
    expect(job.last_error?.message).toMatch(/payload\.to.*payload\.copies/);
    expect(handled.values).toEqual([]);
  });

  it('is attempted again with onInvalid: retry', async () => {
    const { jobs, id } = await setup({ onInvalid: 'retry', maxAttempts: 3, backoff: 0 });
    expect(await jobs.in(id, 'failed')).toMatchObject({ run_count: 3 });
  });

  it('fails alone in a batch', async () => {
    const database = await testDatabase();
    const batches = new SignalPoint<unknown>();
    const taskmaster = engine(database);
    taskmaster.register({
      queue: defineQueue('mail', { schema }),
      label: 'mail',
      batch: { size: 3, waitMs: 0 },
      handleBatch: (payloads) => batches.signal(payloads),
    });
    const jobs = new JobTable(database);
    const bad = await jobs.insert('mail', { payload: '{}' });
    await jobs.insert('mail', { payload: '{"to": "ada@example.com", "copies": 1}' });
    await taskmaster.start();
    expect(await batches.count(1)).toEqual([[{ to: 'ada@example.com', copies: 1 }]]);
    expect(await jobs.in(bad, 'failed')).toMatchObject({ run_count: 1 });
  });

  it('is not what the handler throws when it enqueues an invalid payload itself', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    taskmaster.register({
      queue: 'other',
      label: 'other',
      options: { maxAttempts: 2, backoff: 0 },
      handle: () => taskmaster.publisher.enqueue(defineQueue('mail', { schema }), {}),
    });
    const jobs = new JobTable(database);
    const id = await jobs.insert('other');
    await taskmaster.start();
    expect(await jobs.in(id, 'failed')).toMatchObject({ run_count: 2 });
  });
});
