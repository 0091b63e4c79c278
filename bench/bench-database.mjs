import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { EmbeddedPostgres } from '../dist/engine/connection/embedded.js';

/**
 * A PostgreSQL of the run's own: default configuration, commits durable. Fails loudly when the folder it is given is in memory, where
 * a flush costs nothing.
 */
export async function benchDatabase() {
  const folder = await mkdtemp(join(tmpdir(), 'taskmaster-bench-'));
  await chmod(folder, 0o711);
  const server = new EmbeddedPostgres({ dataDir: join(folder, 'data') });
  await server.start();
  const client = new pg.Client(server.connectionConfig);
  await client.connect();
  const { rows } = await client.query(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync, current_setting('synchronous_commit') as durable`,
  );
  return {
    connection: server.connectionConfig,
    client,
    settings: rows[0],
    async stop() {
      await client.end();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
