import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { DEBIAN_POSTGRES, pgServer, standbyOf } from './support/pg-server.js';
import { DEBIAN, missing } from './support/when.js';

const WATCHED_MS = 5_000;
const skipped = missing('B11', { 'PostgreSQL 15 (package postgresql-15)': DEBIAN });

describe.skipIf(skipped)('B11: a connection that leads to a read-only standby', () => {
  it(
    'is not tried again and again, and is left as soon as it leads to the primary',
    { timeout: 120_000 },
    async () => {
      const primary = await pgServer({ binDir: DEBIAN_POSTGRES, settings: ['fsync=off'] });
      const database = await primary.database();
      const standby = await standbyOf(primary, 'standby');
      await standby.start();
      const proxy = new FaultyProxy({ host: '127.0.0.1', port: primary.port });
      const connection = { ...primary.config, port: await proxy.listen() };
      onTestFinished(() => proxy.close());
      const { taskmaster, log } = await workingEngine(database, { mail: () => undefined }, { connection });
      await new JobTable(database).insert('mail');
      await log.of('completed').count(1);

      proxy.aim({ host: '127.0.0.1', port: standby.port });
      proxy.cut();
      await log.of('databaseLost').count(1);
      const before = proxy.accepted;
      await delay(WATCHED_MS);
      expect((proxy.accepted - before) / (WATCHED_MS / 1_000)).toBeLessThan(10);
      await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({
        code: 'TM_DATABASE',
        sqlState: '25006',
      });

      // Connections to the standby are not ended: they are given up because it can write nothing.
      proxy.aim({ host: '127.0.0.1', port: primary.port });
      await eventually(() => taskmaster.publisher.enqueue('mail').then(() => true), { timeoutMs: 30_000 });
      await log.of('completed').count(2, { timeoutMs: 30_000 });
      await taskmaster.close();
    },
  );
});
