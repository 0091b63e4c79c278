import { describe, expect, it } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { testRole } from '../support/test-role.js';

const setup = async ({ migrated }: { migrated: boolean }) => {
  const database = await testDatabase({ migrated });
  return { database, role: await testRole(database) };
};

/** What a worker needs, and no more. */
async function grantWork(database: TestDatabase, role: string): Promise<void> {
  const { schema } = tablesOf(database.schema);
  await database.query(`grant usage on schema ${schema} to "${role}"`);
  await database.query(`grant select, insert, update, delete on all tables in schema ${schema} to "${role}"`);
  await database.query(`grant usage on all sequences in schema ${schema} to "${role}"`);
}

describe('a role that may not create schemas', () => {
  it('migrates the schema that it owns', async () => {
    const { database, role } = await setup({ migrated: false });
    const { schema } = tablesOf(database.schema);
    await database.query(`create schema ${schema} authorization "${role.name}"`);
    const taskmaster = await openEngine(database, { connection: role.config });
    const job = await taskmaster.publisher.enqueue('mail');
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    await taskmaster.start();
    await eventually(
      async () => (await database.query(`select from ${schema}.jobs where id = $1`, [job.id])).length === 0,
    );
  });

  it('is told that it lacks a privilege when there is no schema', async () => {
    const { database, role } = await setup({ migrated: false });
    await expect(engine(database, { connection: role.config }).open()).rejects.toMatchObject({
      code: 'TM_PERMISSION_DENIED',
      operation: 'migration',
    });
    const left = await database.query('select from pg_namespace where nspname = $1', [database.schema]);
    expect(left).toEqual([]);
  });

  it('is told that it lacks a privilege when the schema is not open to it', async () => {
    const { database, role } = await setup({ migrated: true });
    await expect(engine(database, { connection: role.config }).open()).rejects.toMatchObject({
      code: 'TM_PERMISSION_DENIED',
      operation: 'migration',
    });
  });
});

describe('a role without any DDL', () => {
  it.each(['run', 'verify', 'off'] as const)(
    'works where the schema is up to date, with migrations: %s',
    async (migrations) => {
      const { database, role } = await setup({ migrated: true });
      await grantWork(database, role.name);
      const taskmaster = await openEngine(database, { connection: role.config, migrations });
      const { jobs } = tablesOf(database.schema);
      const { id } = await taskmaster.publisher.enqueue('mail');
      taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
      await taskmaster.start();
      await eventually(
        async () => (await database.query(`select from ${jobs} where id = $1`, [id])).length === 0,
      );
    },
  );
});
