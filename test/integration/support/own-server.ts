import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { EmbeddedPostgres } from '../../../lib/engine/connection/embedded.js';
import { Migrator } from '../../../lib/engine/schema/migrator.js';
import { FAST_SERVER } from '../../support/fast-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import type { TestDatabase } from '../../support/test-database.js';

/** A server that belongs to one test, for faults that would hit the others: its one database, migrated. */
export interface OwnServer {
  readonly database: TestDatabase;
  /** A new connection, to the database of that name or that of the engine; closed after the test. */
  connect(name?: string): Promise<pg.Client>;
}

/** @param settings more settings of the server, such as `max_connections=10` */
export async function ownServer(settings: readonly string[] = []): Promise<OwnServer> {
  const folder = await temporaryFolder();
  const serverFlags = [...(FAST_SERVER.serverFlags ?? []), ...settings.flatMap((setting) => ['-c', setting])];
  const server = new EmbeddedPostgres({ dataDir: join(folder, 'data') }, { ...FAST_SERVER, serverFlags });
  onTestFinished(() => server.stop());
  await server.start();
  const config = server.connectionConfig;
  const connect = (name = config.database) => connected({ ...config, database: name });
  const schema = process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster';
  await new Migrator(schema).run(await connect());
  const url = `postgres://${config.user}:${config.password}@${config.host}:${config.port}/${config.database}`;
  const database: TestDatabase = {
    name: config.database,
    schema,
    config,
    url,
    client: () => connect(),
    query: (text, values) => query(config, text, values),
  };
  return { database, connect };
}

async function connected(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ ...config, application_name: 'test' });
  client.on('error', () => undefined); // a test may end its backend; the next query fails all the same
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** On a connection of its own: a server that crashes ends those that are open. */
async function query<Row extends pg.QueryResultRow>(
  config: pg.ClientConfig,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ ...config, application_name: 'test' });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}
