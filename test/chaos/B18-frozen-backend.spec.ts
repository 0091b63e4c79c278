import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

describe('B18: a backend that is frozen while it has a statement of ours', () => {
  it('is given up, and work goes on over another connection', { timeout: 60_000 }, async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { log } = await workingEngine(
      database,
      { mail: () => undefined },
      { connectTimeoutMs: 2_000, lease: { ttlMs: 30_000, heartbeatMs: 1_000, heartbeat: 'main' } },
    );
    await jobs.insert('mail');
    await log.of('completed').count(1);
    const frozen = (await eventually(async () => {
      const rows = await database.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'taskmaster' and query like '%claim%'`,
      );
      return rows.length > 0 && rows.map(({ pid }) => pid);
    })) as number[];
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    onTestFinished(() => thaw(frozen));
    const id = await jobs.insert('mail');
    expect(await log.of('completed').count(2, { timeoutMs: 40_000 })).toMatchObject([{}, { jobId: id }]);
    thaw(frozen);
    await jobs.empty();
  });
});

/** They end as soon as they find that their client is gone. */
function thaw(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGCONT');
    } catch (error) {
      if ((error as { code?: string }).code !== 'ESRCH') throw error;
    }
  }
}
