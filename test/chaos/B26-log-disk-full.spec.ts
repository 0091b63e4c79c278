import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TaskmasterError } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { emptyPgServer } from './support/pg-server.js';
import { disksWork, smallDisk } from './support/small-disk.js';
import { missing } from './support/when.js';

const skipped = missing('B26', { 'root, and mount': disksWork() });

describe.skipIf(skipped)('B26: a write-ahead log whose disk is full', () => {
  it(
    'stops the server, and nothing that was confirmed is lost when it is back',
    { timeout: 180_000 },
    async () => {
      const disk = await smallDisk(64);
      const server = await emptyPgServer({
        settings: ['max_wal_size=48MB', 'min_wal_size=32MB', 'wal_recycle=off'],
      });
      await server.init();
      await moveLog(server.dataDir, join(disk.folder, 'wal'));
      await server.start();
      const database = await server.database();
      const done = new Set<number>();
      const handlers = { mail: (job: { payload: { n: number } }) => void done.add(job.payload.n) };
      const { taskmaster } = await workingEngine(database, handlers, {
        connectTimeoutMs: 2_000,
        lease: { ttlMs: 5_000, heartbeatMs: 500, heartbeat: 'main' },
      });
      const publishing = await openEngine(database, {
        consume: false,
        name: 'publisher',
        connectTimeoutMs: 2_000,
      });
      await disk.fill();
      const confirmed: number[] = [];
      const flood = async () => {
        for (let n = 0; ; n += 1) {
          await publishing.publisher.enqueue('mail', { n, text: randomBytes(50_000).toString('hex') });
          confirmed.push(n);
        }
      };
      await expect(flood()).rejects.toBeInstanceOf(TaskmasterError);
      await server.crash(); // it ends by itself, or is about to
      await disk.free();
      await server.start();
      await eventually(() => confirmed.every((n) => done.has(n)), { timeoutMs: 60_000 });
      await eventually(() => publishing.publisher.enqueue('mail', { n: -1 }).then(() => true), {
        timeoutMs: 30_000,
      });
      await eventually(() => done.has(-1), { timeoutMs: 30_000 });
      await new JobTable(database).empty({ timeoutMs: 30_000 });
      expect(confirmed.length).toBeGreaterThan(0);
      await taskmaster.close();
      await publishing.close();
    },
  );
});

async function moveLog(dataDir: string, to: string): Promise<void> {
  execFileSync('cp', ['-a', join(dataDir, 'pg_wal'), to]);
  await rename(join(dataDir, 'pg_wal'), join(dataDir, 'pg_wal_before'));
  await symlink(to, join(dataDir, 'pg_wal'));
}
