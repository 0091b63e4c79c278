import { describe, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

describe('a job that somebody has locked by plain SQL', () => {
  it('runs again as soon as it is free, when its attempt failed meanwhile', async () => {
    const database = await testDatabase();
    const jobs = `"${database.schema}".jobs`;
    const taskmaster = engine(database);
    const holder = await database.client();
    const runs = new SignalPoint<number>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { backoff: 1 },
      handle: async (_payload, job) => {
        runs.signal(job.runCount);
        if (job.runCount > 1) return;
        await holder.query(`begin; select from ${jobs} where id = ${job.id} for update`);
        throw new Error('again');
      },
    });
    await taskmaster.start();
    await taskmaster.publisher.enqueue('mail');
    await eventually(async () => {
      const waiting = await database.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
          and now() - query_start > interval '200 milliseconds'`, // the promoter has looked by then, and sleeps
      );
      return waiting.length === 1;
    });
    await holder.query('commit');
    expect(await runs.count(2, { timeoutMs: 5_000 })).toEqual([1, 2]);
  });
});
