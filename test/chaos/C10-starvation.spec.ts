import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { defineQueue } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';

const STARVED_MS = 3_000;

describe('C10: a job behind an endless stream of jobs that are more urgent', () => {
  it.each([
    ['waits for ever', undefined],
    ['runs all the same where its queue has `ageing`', { everyMs: 500 }],
  ])('%s', { timeout: 60_000 }, async (_says, ageing) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const taskmaster = engine(database);
    const started: string[] = [];
    const over = new AbortController();
    taskmaster.register({
      queue: defineQueue('mail', ageing === undefined ? {} : { ageing }),
      label: 'mail',
      options: { concurrency: 1 },
      handle: async (payload: { urgent?: true }) => {
        if (payload.urgent !== true) started.push('patient');
        await delay(10);
      },
    });
    const keepFull = async () => {
      while (!over.signal.aborted) {
        const [row] = await database.query<{ count: number }>(
          `select count(*)::integer as count from ${jobs.schema}.jobs where priority = -5`,
        );
        if (row!.count < 50) await taskmaster.publisher.enqueueMany('mail', urgent, { priority: -5 });
        await delay(20);
      }
    };
    await taskmaster.open();
    await taskmaster.publisher.enqueueMany('mail', urgent, { priority: -5 });
    const stream = keepFull();
    await taskmaster.publisher.enqueue('mail');
    await taskmaster.start();
    for (const until = performance.now() + (ageing === undefined ? STARVED_MS : 30_000); started.length === 0 && performance.now() < until; ) await delay(20); // prettier-ignore
    over.abort();
    await stream;
    expect(started).toEqual(ageing === undefined ? [] : ['patient']);
    await taskmaster.close();
  });
});

const urgent = Array.from({ length: 100 }, () => ({ urgent: true }));
