/** A process with an embedded server, for embedded-postgres.spec.ts: a data folder, and what to do once it runs. */
import pg from 'pg';
import { EmbeddedPostgres } from '../../lib/engine/connection/embedded.js';
import { FAST_SERVER } from '../support/fast-server.js';

const [dataDir, then] = process.argv.slice(2);
const server = new EmbeddedPostgres({ dataDir: dataDir! }, FAST_SERVER);

async function answer(): Promise<string> {
  const client = new pg.Client(server.connectionConfig);
  await client.connect();
  const { rows } = await client.query<{ answer: string }>(`select 'alive' as answer`);
  await client.end();
  return rows[0]!.answer;
}

await server.start();
if (then !== 'return') {
  process.on('SIGINT', () => void answer().then((text) => console.log(`after SIGINT: ${text}`)));
  process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
  setInterval(() => undefined, 1_000); // stays until it is signalled
}
// Said last: whoever reads it may signal at once.
console.log(`port ${server.connectionConfig.port}`);
