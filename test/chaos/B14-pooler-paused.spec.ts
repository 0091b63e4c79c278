import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PGBOUNCER, pooler, poolerConsole } from '../support/pooler.js';
import { testDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from '../integration/support/audit.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { missing } from './support/when.js';

const skipped = missing('B14', { 'PgBouncer (package pgbouncer)': PGBOUNCER !== undefined });

describe.skipIf(skipped)('B14: PgBouncer that is paused, reconnects and drops everybody', () => {
  it('holds work up, and nothing is lost', { timeout: 90_000 }, async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const audit = await audited(database);
    const connection = await pooler(database);
    const handle = () => delay(Math.random() * 20);
    const options = {
      connection,
      connectTimeoutMs: 2_000,
      lease: { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'main' },
    } as const;
    await Promise.all(
      [1, 2].map((n) => workingEngine(database, { mail: handle }, { ...options, name: `engine ${n}` })),
    );
    for (const commands of [
      ['pause'],
      ['resume', 'reconnect'],
      [`kill ${database.name}`],
      [`resume ${database.name}`],
    ]) {
      await jobs.insertMany('mail', 200);
      await delay(100);
      await poolerConsole(connection, commands);
      if (commands.includes('pause')) await delay(1.5 * options.lease.ttlMs);
    }
    await jobs.empty({ timeoutMs: 60_000 });
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    expect((await audit.counts()).acked).toBe(800);
  });
});
