import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { adminConnection } from './admin-connection.js';
import { eventually } from './eventually.js';
import { templateDatabase } from './template-database.js';

/** Options of {@link testDatabase}. */
export interface TestDatabaseOptions {
  /** `false`: without the schema, as before the first start. @default true */
  readonly migrated?: boolean;
  /** Name of the schema. @default the variable TASKMASTER_TEST_SCHEMA, else 'taskmaster' */
  readonly schema?: string;
}

/** A database that belongs to one test, on the server of the run. */
export interface TestDatabase {
  readonly name: string;
  readonly schema: string;
  /** How to connect: for `pg.Client`, `pg.Pool` and Taskmaster's `connection`. */
  readonly config: pg.ClientConfig;
  /** The same as a URL. */
  readonly url: string;
  /** Runs one statement on a connection of the test's own and answers with its rows. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** A new connection, closed after the test. @param as another role than that of the test itself */
  client(as?: pg.ClientConfig): Promise<pg.Client>;
}

/**
 * A database for the test that calls it: a clone of the migrated template, dropped after the test. It isolates
 * notifications and advisory locks as well, which are per database.
 *
 * The test fails when something is still connected at its end: whoever opened it did not close it.
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { migrated = true, schema = process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster' } = options;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = await adminConnection();
  const template = migrated ? await templateDatabase(schema) : 'template1';
  await admin.query(`create database "${name}" template "${template}"`);
  onTestFinished(() => dropDatabase(name));
  return databaseOf(name, schema);
}

function databaseOf(name: string, schema: string): TestDatabase {
  const config = { ...inject('databaseServer'), database: name };
  const client = (as: pg.ClientConfig = config) => connectedClient(as);
  let own: Promise<pg.Client> | undefined;
  return {
    name,
    schema,
    config,
    url: `postgres://${config.user}:${config.password}@${config.host}:${config.port}/${name}`,
    client,
    query: async (text, values) => (await (await (own ??= client())).query(text, values as unknown[])).rows,
  };
}

async function connectedClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ ...config, application_name: 'test' });
  client.on('error', () => undefined); // a test may end its backend; the next query fails all the same
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function dropDatabase(name: string): Promise<void> {
  try {
    await eventually(() => expectNoConnections(name), { timeoutMs: 5_000 });
  } finally {
    await (await adminConnection()).query(`drop database "${name}" with (force)`);
  }
}

async function expectNoConnections(name: string): Promise<void> {
  const { rows } = await (
    await adminConnection()
  ).query<{ application_name: string; query: string }>(
    `select application_name, query from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [name],
  );
  if (rows.length === 0) return;
  const connections = rows.map(
    ({ application_name, query }) => `  - ${application_name || 'unnamed'}: ${query}`,
  );
  throw new Error(`The test ends with connections left open:\n${connections.join('\n')}`);
}
