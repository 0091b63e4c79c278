import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { unprivilegedAccount } from '../../lib/engine/connection/embedded/account.js';
import { eventually } from './eventually.js';
import { makeTemporaryFolder, removeFolder } from './temporary-folder.js';
import type { TestDatabase } from './test-database.js';

const PROGRAMS = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'];

/** Where PgBouncer is installed; it is in Debian's package `pgbouncer`. */
export const PGBOUNCER = PROGRAMS.find((path) => existsSync(path));

/** Commands for the console of {@link pooler}, one after another. */
export async function poolerConsole(config: pg.ClientConfig, commands: readonly string[]): Promise<void> {
  const client = new pg.Client({ ...config, database: 'pgbouncer' });
  await client.connect();
  for (const command of commands) await client.query(command);
  await client.end();
}

/** PgBouncer in transaction mode in front of a test's database, ended after the test. */
export async function pooler(database: TestDatabase, poolSize = 3): Promise<pg.ClientConfig> {
  const folder = await makeTemporaryFolder();
  const port = await freePort();
  await writeFile(join(folder, 'pgbouncer.ini'), settings(database, port, poolSize));
  const child = await start(folder);
  onTestFinished(async () => {
    child.kill('SIGQUIT');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await removeFolder(folder);
  });
  const config = {
    host: '127.0.0.1',
    port,
    user: database.config.user!,
    password: 'any',
    database: database.name,
  };
  await eventually(() => answers(config), { timeoutMs: 10_000 });
  return config;
}

/** Sessions go to whoever asks next, so what one leaves behind is there for another. */
function settings({ config, name }: TestDatabase, port: number, poolSize: number): string {
  return `[databases]
${name} = host=${config.host} port=${config.port} dbname=${name} user=${config.user} password=${config.password as string}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 200
admin_users = ${config.user}
`;
}

/** PgBouncer refuses to run as root. */
async function start(folder: string): Promise<ChildProcess> {
  const args = [join(folder, 'pgbouncer.ini')];
  if (process.getuid?.() !== 0) return spawn(PGBOUNCER!, args, { stdio: 'ignore' });
  const { uid, gid } = await unprivilegedAccount();
  await chown(folder, uid, gid);
  return spawn(PGBOUNCER!, args, { stdio: 'ignore', uid, gid });
}

async function answers(config: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(config);
  await client.connect();
  await client.query('select 1');
  await client.end();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
