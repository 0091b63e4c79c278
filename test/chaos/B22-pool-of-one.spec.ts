import pg from 'pg';
import { describe, it, onTestFinished } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

describe('B22: a pool of one connection and fifty jobs at once', () => {
  it('end all, one transaction after another', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const handle = (job: Job<never>) => job.transaction((tx) => tx.query('select pg_sleep(0.001)'));
    const connection = { ...database.config, max: 1 };
    const { log } = await workingEngine(database, { mail: { concurrency: 50, handle } }, { connection });
    await jobs.insertMany('mail', 200);
    await log.of('completed').count(200, { timeoutMs: 25_000 });
    await jobs.empty();
  });
});

describe('B23: handlers that share one connection of their own, and enqueue', () => {
  it('do not wait for the engine, nor the engine for them', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const pool = new pg.Pool({ ...database.config, max: 1 });
    onTestFinished(() => pool.end());
    const { taskmaster, log } = await workingEngine(database, {
      mail: {
        concurrency: 20,
        handle: async () => {
          const client = await pool.connect();
          try {
            await client.query('begin');
            await taskmaster.publisher.enqueue('next', {}, { tx: client });
            await client.query('commit');
            await taskmaster.publisher.enqueue('next');
          } finally {
            client.release();
          }
        },
      },
      next: () => undefined,
    });
    await jobs.insertMany('mail', 50);
    await log.of('completed').count(150, { timeoutMs: 25_000 });
    await jobs.empty();
  });
});
