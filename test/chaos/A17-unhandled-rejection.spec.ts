import { describe, expect, it } from 'vitest';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workerChild } from '../integration/support/worker-child.js';
import { workingEngine } from '../integration/support/working-engine.js';

describe('A17: a rejection that nobody handles', () => {
  it('ends the process as Node does, and its jobs run again elsewhere', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const held = await jobs.insert('mail', { payload: '{"hold": true}' });
    const child = workerChild(database, { queue: 'mail' });
    await child.line(new RegExp(`^started ${held}`), { timeoutMs: 60_000 });
    await jobs.insert('mail', { payload: '{"stray": true, "workMs": 60000}' });
    expect(await child.exit()).toMatchObject({ code: 1 });
    expect(child.stderr.values.join('\n')).toContain('nobody awaits this');

    const { log } = await workingEngine(database, { mail: () => undefined });
    const completed = await log.of('completed').count(2, { timeoutMs: 20_000 });
    expect(completed.map(({ runCount }) => runCount)).toEqual([2, 2]);
    await jobs.empty();
  });
});
