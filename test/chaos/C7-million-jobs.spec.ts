import { describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { loadOf } from './support/load.js';
import { pgServer, type PgServer } from './support/pg-server.js';
import { ALL, missing } from './support/when.js';

const MILLION = 1_000_000;
const RUN = 10_000;
const skipped = missing('C7', { '--all': ALL });

describe.skipIf(skipped)(
  'C7: a million jobs that are ready, and as many scheduled, failed and finished',
  () => {
    it('do not make a job cost more than in an empty database', { timeout: 900_000 }, async () => {
      const server = await pgServer({ settings: ['fsync=off', 'max_wal_size=4GB'] });
      const database = await server.database();
      const jobs = new JobTable(database);
      await jobs.insertMany('mail', RUN);
      const alone = await costOf(server, database);
      await jobs.empty({ timeoutMs: 60_000 });
      await server.query(
        `insert into ${jobs.schema}.jobs (queue_name, payload, run_at, failed_at)
       select 'mail', '{}', case kind when 1 then now() + interval '1 day' end, case kind when 2 then now() end
         from generate_series(1, $1::integer), generate_series(0, 2) as kind`,
        [MILLION],
      );
      await server.query(
        `insert into ${jobs.schema}.finished (id, queue_name, state, run_count, priority, created_at, expires_at, payload)
       select n, 'mail', 'completed', 1, 0, now(), 'infinity', '{}' from generate_series(1, $1::integer) as n`,
        [MILLION],
      );
      const among = await costOf(server, database);
      console.info(
        `C7: a job costs ${alone.toFixed(0)} blocks alone, ${among.toFixed(0)} among four million`,
      );
      expect(among).toBeLessThan(2 * alone + 20); // the indexes are deeper, and that is all
    });
  },
);

/** Blocks that are looked at for a job, by an engine that runs so many and then ends. */
async function costOf(server: PgServer, database: TestDatabase): Promise<number> {
  let done = 0;
  const { blocks } = await loadOf(server, async () => {
    const { taskmaster, log } = await workingEngine(database, {
      mail: { concurrency: 50, handle: () => void (done += 1) },
    });
    await log.of('completed').count(RUN, { timeoutMs: 300_000 });
    await taskmaster.close();
  });
  return blocks / done;
}
