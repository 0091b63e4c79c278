import pg from 'pg';
import { inject } from 'vitest';

/** One connection for a test file, to the server's own database: it makes and drops the databases of the tests. */
let connecting: Promise<pg.Client> | undefined;

/** Made when it is first needed. */
export function adminConnection(): Promise<pg.Client> {
  return (connecting ??= connect());
}

/** After the last test of the file. */
export async function closeAdminConnection(): Promise<void> {
  const client = await connecting;
  connecting = undefined;
  await client?.end();
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({
    ...inject('databaseServer'),
    database: 'postgres',
    application_name: 'test admin',
  });
  await client.connect();
  return client;
}
