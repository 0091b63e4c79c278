import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

describe('B15: a listener whose connection swallows everything', () => {
  it('is found out, made anew, and jobs are found by polling meanwhile', { timeout: 90_000 }, async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(database, { mail: () => undefined }, { listen: { connection } });
    await log.of('listenerRestored').count(1);
    await eventually(() => proxy.connections === 1);
    proxy.forget();
    await jobs.insert('mail');
    await log.of('completed').count(1);
    await log.of('listenerRestored').count(2, { timeoutMs: 60_000 });
    await jobs.insert('mail');
    await log.of('completed').count(2);
    expect(log.of('databaseLost').values).toEqual([]);
  });
});
