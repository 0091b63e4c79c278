import pg from 'pg';
import { SUPERUSER } from './cluster.js';

/** The database of an embedded server, made at the first start. */
export const DATABASE = 'taskmaster';

/** How to connect to an embedded server. */
export interface EmbeddedConnectionConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export function connectionTo(port: number, password: string): EmbeddedConnectionConfig {
  return { host: '127.0.0.1', port, user: SUPERUSER, password, database: DATABASE };
}

/** Creates the database where it is missing. False when the server is going away: it said so, or nobody answers any more. */
export async function ensureDatabase(config: EmbeddedConnectionConfig): Promise<boolean> {
  const client = new pg.Client({ ...config, database: 'postgres', connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // a connection that breaks also fails the query
  try {
    await client.connect();
    await createMissing(client, config.database);
    return true;
  } catch (error) {
    if (isGoingAway(error)) return false;
    throw error;
  } finally {
    await client.end();
  }
}

async function createMissing(client: pg.Client, database: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
  if (rowCount !== 0) return;
  await client
    .query(`create database ${client.escapeIdentifier(database)}`)
    .catch((error: { code?: string }) => {
      // duplicate_database, or unique_violation when two create it in the same moment: another process made it
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    });
}

function isGoingAway(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  // admin_shutdown, cannot_connect_now
  return (
    ['57P01', '57P03', 'ECONNREFUSED', 'ECONNRESET'].includes(code ?? '') || /terminated/.test(message ?? '')
  );
}
