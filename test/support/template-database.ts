import { createHash } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { MIGRATIONS } from '../../lib/engine/schema/migrations.generated.js';
import { Migrator } from '../../lib/engine/schema/migrator.js';
import { adminConnection } from './admin-connection.js';

const ready = new Map<string, Promise<string>>();

/**
 * The name of a database that holds the migrated schema and nothing else, to be cloned. Made by the first test of
 * the run that needs it, in whichever process.
 */
export function templateDatabase(schema: string): Promise<string> {
  const existing = ready.get(schema);
  if (existing !== undefined) return existing;
  const making = make(schema, `template_${schema}_${version()}`);
  ready.set(schema, making);
  return making;
}

/** Other migrations, as while watching, need another template. */
function version(): string {
  return createHash('sha256').update(JSON.stringify(MIGRATIONS)).digest('hex').slice(0, 8);
}

async function make(schema: string, name: string): Promise<string> {
  const admin = await adminConnection();
  await admin.query(`select pg_advisory_lock(hashtext('template'))`);
  try {
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await build(admin, schema, name);
    return name;
  } finally {
    await admin.query(`select pg_advisory_unlock(hashtext('template'))`);
  }
}

/** Renamed when it is complete; closed to connections, since a database in use cannot be cloned. */
async function build(admin: pg.Client, schema: string, name: string): Promise<void> {
  const unfinished = `${name}_unfinished`;
  await admin.query(`drop database if exists "${unfinished}"`);
  await admin.query(`create database "${unfinished}"`);
  await migrate(unfinished, schema);
  await admin.query(`alter database "${unfinished}" allow_connections false`);
  await admin.query(`alter database "${unfinished}" rename to "${name}"`);
}

async function migrate(database: string, schema: string): Promise<void> {
  const client = new pg.Client({ ...inject('databaseServer'), database });
  await client.connect();
  try {
    await new Migrator(schema).run(client);
  } finally {
    await client.end();
  }
}
