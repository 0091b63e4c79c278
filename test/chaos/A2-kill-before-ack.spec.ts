import { describe, expect, it } from 'vitest';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from '../integration/support/audit.js';
import { JobTable } from '../integration/support/job-table.js';
import { linesOf, workerChild } from '../integration/support/worker-child.js';
import { workingEngine } from '../integration/support/working-engine.js';

describe('A2: a process that is killed between the end of a handler and its ack', () => {
  it('has the job run a second time, and ended once', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const { proxy, connection } = await faultyProxy(database);
    const child = workerChild(database, { queue: 'mail' }, { connection });
    await child.line(/^ready/, { timeoutMs: 60_000 });
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    await child.line(/^started/);
    proxy.stall(); // the ack does not reach the database
    child.kill('SIGUSR2');
    await child.line(new RegExp(`^ended ${id}`));
    child.kill('SIGKILL');
    await child.exit();
    proxy.refuse();

    const { log } = await workingEngine(database, { mail: () => undefined });
    expect(await log.of('completed').count(1, { timeoutMs: 20_000 })).toMatchObject([
      { jobId: id, runCount: 2 },
    ]);
    expect(linesOf(child, 'started')).toEqual([`started ${id} 1`]);
    await jobs.empty();
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    expect((await audit.counts()).acked).toBe(1);
  });
});
