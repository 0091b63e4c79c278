import { describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../lib/engine/schema/migrations.generated.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { engine, openEngine } from '../support/engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const TARGET = MIGRATIONS.at(-1)!.version;

/** What a newer release has done to the schema. */
async function applyNewer(database: TestDatabase, breaking: boolean): Promise<void> {
  const { migrations } = tablesOf(database.schema);
  await database.query(`insert into ${migrations} (version, name, breaking) values (999, 'future', $1)`, [
    breaking,
  ]);
}

async function installed(database: TestDatabase): Promise<boolean> {
  const rows = await database.query('select from pg_namespace where nspname = $1', [database.schema]);
  return rows.length > 0;
}

describe('migrations: run', () => {
  it('installs the schema', async () => {
    const database = await testDatabase({ migrated: false });
    const taskmaster = await openEngine(database, { migrations: 'run' });
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });

  it('is the default', async () => {
    const database = await testDatabase({ migrated: false });
    await openEngine(database);
    expect(await installed(database)).toBe(true);
  });

  it('changes nothing where nothing is missing', async () => {
    const database = await testDatabase();
    const { migrations } = tablesOf(database.schema);
    const before = await database.query(`select xmin::text, * from ${migrations}`);
    await openEngine(database);
    expect(await database.query(`select xmin::text, * from ${migrations}`)).toEqual(before);
  });

  it('works beside a schema of another name', async () => {
    const database = await testDatabase();
    const other = await openEngine(database, { schema: 'another' });
    await other.publisher.enqueue('mail');
    const { jobs } = tablesOf(database.schema);
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
    expect(await database.query(`select queue_name from another.jobs`)).toEqual([{ queue_name: 'mail' }]);
  });
});

describe('migrations: verify', () => {
  it('opens a schema that is up to date', async () => {
    const taskmaster = await openEngine(await testDatabase(), { migrations: 'verify' });
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });

  it('refuses a database without the schema, and creates nothing', async () => {
    const database = await testDatabase({ migrated: false });
    await expect(engine(database, { migrations: 'verify' }).open()).rejects.toMatchObject({
      code: 'TM_SCHEMA_BEHIND',
      schema: database.schema,
      found: 0,
      needed: TARGET,
    });
    expect(await installed(database)).toBe(false);
  });

  it('refuses a schema that is behind', async () => {
    const database = await testDatabase();
    const { migrations } = tablesOf(database.schema);
    await database.query(`delete from ${migrations} where version = $1`, [TARGET]);
    await expect(engine(database, { migrations: 'verify' }).open()).rejects.toMatchObject({
      code: 'TM_SCHEMA_BEHIND',
      needed: TARGET,
    });
  });
});

describe('migrations: off', () => {
  it('does not look', async () => {
    const database = await testDatabase({ migrated: false });
    const taskmaster = await openEngine(database, { migrations: 'off' });
    expect(await installed(database)).toBe(false);
    await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({
      code: 'TM_DATABASE',
      operation: 'enqueue',
      sqlState: '42P01',
    });
  });

  it('works with a schema that is there', async () => {
    const taskmaster = await openEngine(await testDatabase(), { migrations: 'off' });
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });
});

describe.each(['run', 'verify'] as const)(
  'a schema of a newer release, with migrations: %s',
  (migrations) => {
    it('is refused when the change was a breaking one', async () => {
      const database = await testDatabase();
      await applyNewer(database, true);
      await expect(engine(database, { migrations }).open()).rejects.toMatchObject({
        code: 'TM_SCHEMA_TOO_NEW',
        schema: database.schema,
        migration: 999,
        migrationName: 'future',
      });
    });

    it('is accepted when it was not', async () => {
      const database = await testDatabase();
      await applyNewer(database, false);
      const taskmaster = await openEngine(database, { migrations });
      await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
    });
  },
);

describe('an engine that was refused', () => {
  it('can be opened once the reason is gone', async () => {
    const database = await testDatabase();
    await applyNewer(database, true);
    const taskmaster = engine(database);
    await expect(taskmaster.open()).rejects.toMatchObject({ code: 'TM_SCHEMA_TOO_NEW' });
    await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({ code: 'TM_NOT_OPEN' });
    await database.query(`delete from ${tablesOf(database.schema).migrations} where version = 999`);
    await taskmaster.open();
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ queue: 'mail' });
  });
});
