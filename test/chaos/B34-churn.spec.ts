import { describe, expect, it } from 'vitest';
import { pgServer } from './support/pg-server.js';
import { ALL, missing } from './support/when.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { JobTable } from '../integration/support/job-table.js';

const ROUNDS = 20;
const JOBS = 25_000;
const skipped = missing('B34', { '--all': ALL });

describe.skipIf(skipped)('B34: half a million jobs without one vacuum', () => {
  it('cost as little at the end as at the beginning', { timeout: 900_000 }, async () => {
    const server = await pgServer({ settings: ['autovacuum=off', 'fsync=off'] });
    const database = await server.database();
    const jobs = new JobTable(database);
    const { taskmaster } = await workingEngine(database, {
      mail: { concurrency: 100, handle: () => undefined },
    });
    const costs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await blocksOf();
      await jobs.insertMany('mail', JOBS);
      await jobs.empty({ timeoutMs: 120_000 });
      costs.push(((await blocksOf()) - before) / JOBS);
    }
    console.info(`B34: blocks a job: ${costs.map((cost) => cost.toFixed(0)).join(', ')}`);
    expect(Math.max(...costs.slice(1))).toBeLessThan(2.5 * costs[0]! + 20);
    await taskmaster.close();

    async function blocksOf(): Promise<number> {
      await server.query('select pg_stat_force_next_flush()').catch(() => undefined);
      const [row] = await server.query<{ blocks: number }>(
        `select (blks_hit + blks_read)::double precision as blocks from pg_stat_database where datname = current_database()`,
      );
      return row!.blocks;
    }
  });
});
