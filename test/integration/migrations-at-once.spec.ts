import { describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../lib/engine/schema/migrations.generated.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { childProcess } from '../support/child-process.js';
import { engine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const SCRIPT = new URL('./support/migrate-process.ts', import.meta.url);
const PROCESSES = 8;
/** That many processes take their time to start where there are few processors. */
const BOUND_MS = 90_000;
const ALL = MIGRATIONS.map((migration) => migration.version);

/** Sessions of others that wait for an advisory lock: migrations take one. */
async function waiting(database: TestDatabase): Promise<number> {
  const rows = await database.query(
    `select from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.length;
}

async function applied(database: TestDatabase): Promise<number[]> {
  const { migrations } = tablesOf(database.schema);
  const rows = await database.query<{ version: number }>(
    `select version from ${migrations} order by version`,
  );
  return rows.map((row) => row.version);
}

describe('eight processes that migrate an empty database at once', () => {
  it('apply it once: one works, the others wait and find nothing to do', async () => {
    const database = await testDatabase({ migrated: false });
    const starter = await database.client();
    await starter.query('begin');
    await starter.query('select pg_advisory_xact_lock(1413830741, hashtext($1))', [database.schema]);
    const task = JSON.stringify({ config: database.config, schema: database.schema });
    const processes = Array.from({ length: PROCESSES }, () => childProcess(SCRIPT, { args: [task] }));
    await eventually(async () => (await waiting(database)) === PROCESSES, { timeoutMs: BOUND_MS });
    await starter.query('commit');
    const lines = await Promise.all(
      processes.map((process) => process.line(/^applied/, { timeoutMs: BOUND_MS })),
    );
    expect(lines.toSorted()).toEqual(
      [`applied ${JSON.stringify(ALL)}`, ...Array<string>(PROCESSES - 1).fill('applied []')].toSorted(),
    );
    expect(await applied(database)).toEqual(ALL);
  }, 120_000);
});

describe('eight engines that open an empty database at once', () => {
  it('all open', async () => {
    const database = await testDatabase({ migrated: false });
    const engines = Array.from({ length: PROCESSES }, () => engine(database));
    await Promise.all(engines.map((taskmaster) => taskmaster.open()));
    expect(await applied(database)).toEqual(ALL);
    const jobs = await Promise.all(engines.map((taskmaster) => taskmaster.publisher.enqueue('mail')));
    expect(new Set(jobs.map((job) => job.id)).size).toBe(PROCESSES);
  });
});
