import { describe, expect, it } from 'vitest';
import { gate } from '../support/gate.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { pgServer } from './support/pg-server.js';
import { disksWork, smallDisk } from './support/small-disk.js';
import { missing } from './support/when.js';

const skipped = missing('B25', { 'root, and mount': disksWork() });

describe.skipIf(skipped)('B25: a disk that is full', () => {
  it(
    'fails enqueue() loudly, what is there is drained, and all is well when there is room again',
    { timeout: 120_000 },
    async () => {
      const disk = await smallDisk(24);
      const server = await pgServer();
      const database = await server.database();
      const jobs = new JobTable(database);
      await server.query(`create tablespace small location '${disk.folder}'`);
      await server.query(`alter table ${jobs.schema}.jobs set tablespace small`);
      const open = gate();
      const { taskmaster, log } = await workingEngine(database, { mail: () => open.pass() });
      const payload = { text: 'x'.repeat(2_000), n: 0 };
      await taskmaster.publisher.enqueueMany(
        'mail',
        Array.from({ length: 20 }, (_, n) => ({ ...payload, n })),
      );
      await open.reached(10);
      await disk.fill();
      const refusal = (async () => {
        for (;;) await taskmaster.publisher.enqueueMany('mail', Array<object>(200).fill(payload));
      })();
      await expect(refusal).rejects.toMatchObject({ code: 'TM_STORAGE_FULL' });
      open.open();
      await log.of('completed').count(20, { timeoutMs: 30_000 });
      await disk.free();
      await taskmaster.publisher.enqueue('mail', payload);
      await jobs.empty({ timeoutMs: 30_000 });
      await taskmaster.close();
    },
  );
});
