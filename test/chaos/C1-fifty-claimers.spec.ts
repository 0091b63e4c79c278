import { describe, expect, it } from 'vitest';
import { audited, NO_VIOLATIONS } from '../integration/support/audit.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { pgServer } from './support/pg-server.js';

const CLAIMERS = 50;
const JOBS = 20_000;

describe('C1: fifty engines that claim from one queue', () => {
  it(`hand out each of ${JOBS} jobs once`, { timeout: 240_000 }, async () => {
    const server = await pgServer({ settings: ['max_connections=400', 'fsync=off'] });
    const database = await server.database();
    const audit = await audited(database);
    const jobs = new JobTable(database);
    const runs = Array.from({ length: JOBS }, () => 0);
    const handle = (job: { payload: { n: number } }) => void (runs[job.payload.n]! += 1);
    const engines = await Promise.all(
      Array.from({ length: CLAIMERS }, (_, n) =>
        workingEngine(database, { mail: { concurrency: 10, handle } }, { name: `engine ${n}`, lease: LEASE }),
      ),
    );
    await jobs.insertMany('mail', JOBS);
    await jobs.empty({ timeoutMs: 180_000 });
    await Promise.all(engines.map(({ taskmaster }) => taskmaster.close()));
    expect(runs.filter((count) => count !== 1)).toEqual([]);
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    expect((await audit.counts()).acked).toBe(JOBS);
    const share = engines.map(({ log }) => log.of('completed').values.length);
    expect(share.filter((count) => count > 0).length).toBeGreaterThan(CLAIMERS / 2); // they did claim at once
  });
});

/** Fifty engines in one process may be slow to heartbeat. */
const LEASE = { ttlMs: 60_000, heartbeatMs: 5_000, heartbeat: 'main' } as const;
