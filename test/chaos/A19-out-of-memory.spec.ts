import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workerChild } from '../integration/support/worker-child.js';

const MAX_CRASHES = 2;
const MEMORY = ['--max-old-space-size=96'];

describe('A19: a job that takes all the memory of its process', () => {
  it('fails after maxCrashes, and takes no other job with it', { timeout: 240_000 }, async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload)
       select 'mail', case n when 10 then '{"hoard": true}' else '{"workMs": 5}' end::jsonb from generate_series(1, 50) as n`,
    );
    const lease = { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'main', maxCrashes: MAX_CRASHES } as const;
    const done = eventually(async () => (await jobs.all()).every((job) => job.state === 'failed'), {
      timeoutMs: 200_000,
    });
    let started = 0;
    for (let died = true; died;) {
      const child = workerChild(database, { queue: 'mail', concurrency: 5 }, { lease }, { execArgv: MEMORY });
      started += 1;
      died = await Promise.race([
        done.then(() => false),
        child.exit({ timeoutMs: 200_000 }).then(() => true),
      ]);
    }
    expect(await jobs.all()).toMatchObject([{ id: '10', state: 'failed', crash_count: MAX_CRASHES }]);
    expect(started).toBeLessThanOrEqual(MAX_CRASHES + 1);
  });
});
