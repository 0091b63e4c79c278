import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { grantsSql, type RoleName } from '../../../lib/engine/index.js';
import { adminConnection } from '../../support/admin-connection.js';
import type { TestDatabase } from '../../support/test-database.js';

export const ROLES: readonly RoleName[] = ['owner', 'migrator', 'worker', 'producer', 'viewer', 'auditor'];

/** The roles of a database, and a login for each. */
export interface RoleSet {
  readonly prefix: string;
  /** How to connect as a member of a role, and of nothing else. */
  readonly as: (role: RoleName) => pg.ClientConfig;
  /** Runs the statements of the roles again, as after a migration. */
  readonly grant: () => Promise<void>;
}

/** Makes the roles by the script that the library ships. They are dropped after the test. */
export async function roleSet(database: TestDatabase): Promise<RoleSet> {
  const prefix = `r_${randomBytes(4).toString('hex')}`;
  const grant = () => run(database.config, grantsSql({ schema: database.schema, prefix }));
  onTestFinished(() => drop(database, prefix));
  await grant();
  const admin = await adminConnection();
  for (const role of ROLES) {
    await admin.query(`create role "${prefix}_${role}_login" login password 'secret'`);
    await admin.query(`grant "${prefix}_${role}" to "${prefix}_${role}_login"`);
  }
  const as = (role: RoleName) => ({
    ...database.config,
    user: `${prefix}_${role}_login`,
    password: 'secret',
  });
  return { prefix, as, grant };
}

async function run(config: pg.ClientConfig, script: string): Promise<void> {
  const client = new pg.Client({ ...config, application_name: 'roles' });
  await client.connect();
  try {
    await client.query(script);
  } finally {
    await client.end();
  }
}

/** Only in the database itself can be dropped what a role owns and was granted there. */
async function drop(database: TestDatabase, prefix: string): Promise<void> {
  const names = ROLES.flatMap((role) => [`"${prefix}_${role}_login"`, `"${prefix}_${role}"`]);
  const statements = names.flatMap((name) => [`drop owned by ${name} cascade;`, `drop role ${name};`]);
  await run(database.config, statements.join('\n'));
}
