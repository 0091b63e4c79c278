import { describe, expect, it } from 'vitest';
import { childProcess } from '../support/child-process.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const SCRIPT = new URL('./support/migrate-process.ts', import.meta.url);
/** A lock of the test, at which a migration stands still. */
const STOP = 4711;

/** What others hold or wait for: `granted` by the number of the lock. */
async function advisoryLocks(database: TestDatabase): Promise<{ classid: number; granted: boolean }[]> {
  return database.query(
    `select classid::bigint::integer as classid, granted from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
      and database = (select oid from pg_database where datname = current_database())`,
  );
}

describe('a process that is killed in the middle of a migration', () => {
  it('leaves nothing applied and no lock', async () => {
    const database = await testDatabase({ migrated: false });
    const holder = await database.client();
    await holder.query('select pg_advisory_lock($1, 1)', [STOP]);
    const oneMore = `create table {{schema}}.half (); select pg_advisory_lock(${STOP}, 1); create table {{schema}}.other ()`;
    const task = JSON.stringify({ config: database.config, schema: database.schema, oneMore });
    const migrating = childProcess(SCRIPT, { args: [task] });
    await eventually(async () => (await advisoryLocks(database)).some((lock) => !lock.granted), {
      timeoutMs: 60_000,
    });
    migrating.kill('SIGKILL');
    await migrating.exit({ timeoutMs: 60_000 });
    await holder.end(); // its server process learns of the death when it has something to say
    await eventually(async () => (await advisoryLocks(database)).length === 0);
    const left = await database.query('select from pg_namespace where nspname = $1', [database.schema]);
    expect(left).toEqual([]);
    const taskmaster = await openEngine(database);
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ id: '1' });
  }, 90_000);
});

describe('a migration that fails', () => {
  it('leaves nothing applied, and can be tried again', async () => {
    const database = await testDatabase({ migrated: false });
    const oneMore = 'create table {{schema}}.half (); select 1 / 0';
    const task = JSON.stringify({ config: database.config, schema: database.schema, oneMore });
    const migrating = childProcess(SCRIPT, { args: [task] });
    expect((await migrating.exit({ timeoutMs: 60_000 })).code).not.toBe(0);
    expect(migrating.stderr.values.join('\n')).toContain('division by zero');
    const left = await database.query('select from pg_namespace where nspname = $1', [database.schema]);
    expect(left).toEqual([]);
    await openEngine(database);
  }, 90_000);
});
