import { describe, expect, it } from 'vitest';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from '../integration/support/audit.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

const NETWORKS = {
  'answers after 200 to 400 ms': { latencyMs: 100, jitterMs: 100 },
  'passes 20 KB a second': { latencyMs: 20, bytesPerSecond: 20_000 },
} as const;

describe('B19: a slow network', () => {
  it.each(Object.entries(NETWORKS))(
    'that %s costs time, and no lease',
    { timeout: 90_000 },
    async (_name, network) => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const audit = await audited(database);
      const { proxy, connection } = await faultyProxy(database);
      const { log } = await workingEngine(database, { mail: () => undefined }, { connection, lease: {} });
      proxy.slow(network);
      await jobs.insertMany('mail', 100);
      await log.of('completed').count(100, { timeoutMs: 60_000 });
      proxy.slow(undefined);
      await jobs.empty();
      expect(log.of('workerLost').values).toEqual([]);
      expect(log.of('started').values).toHaveLength(100);
      expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    },
  );
});
