import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { adminConnection } from './admin-connection.js';
import type { TestDatabase } from './test-database.js';

/** A role that may do nothing but connect. */
export interface TestRole {
  readonly name: string;
  readonly password: string;
  /** How to connect to the test's database as this role. */
  readonly config: pg.ClientConfig;
}

/**
 * A role for one test: no superuser, owner of nothing, without any privilege that not everybody has. It is dropped after the test,
 * with what it owns. Call it after {@link testDatabase}.
 */
export async function testRole(database: TestDatabase): Promise<TestRole> {
  const name = `role_${randomBytes(6).toString('hex')}`;
  const password = `secret-${randomBytes(12).toString('hex')}`;
  const admin = await adminConnection();
  await admin.query(`create role "${name}" login password '${password}'`);
  onTestFinished(() => drop(database, name));
  return { name, password, config: { ...database.config, user: name, password } };
}

/** Only in the database itself can be dropped what a role owns and was granted there. */
async function drop(database: TestDatabase, name: string): Promise<void> {
  const client = new pg.Client({ ...database.config, application_name: 'test role' });
  await client.connect();
  await client.query(`drop owned by "${name}"`);
  await client.query(`drop role "${name}"`);
  await client.end();
}
