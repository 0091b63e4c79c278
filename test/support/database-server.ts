/** Vitest's global setup of the projects with a database: one embedded server for the whole run. */
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { EmbeddedConnectionConfig } from '../../lib/engine/connection/embedded/database.js';
import { EmbeddedPostgres } from '../../lib/engine/connection/embedded.js';
import { FAST_SERVER } from './fast-server.js';
import { makeTemporaryFolder, removeFolder } from './temporary-folder.js';

declare module 'vitest' {
  interface ProvidedContext {
    databaseServer: EmbeddedConnectionConfig;
  }
}

interface SharedServer {
  readonly starting: Promise<TestServer>;
  users: number;
}

interface TestServer {
  readonly config: EmbeddedConnectionConfig;
  stop(): Promise<void>;
}

/** Vitest loads this file once for each project: what they share hangs on the one thing that is the same for all. */
const shared = globalThis as { taskmasterTestServer?: SharedServer };

/** Called by Vitest, once for each project that takes part in the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = (shared.taskmasterTestServer ??= { starting: startServer(), users: 0 });
  server.users += 1;
  project.provide('databaseServer', (await server.starting).config);
  return async () => {
    server.users -= 1;
    if (server.users === 0) await (await server.starting).stop();
  };
}

async function startServer(): Promise<TestServer> {
  const folder = await makeTemporaryFolder();
  const internals = { ...FAST_SERVER, onNotice: (message: string) => console.info(message) };
  const server = new EmbeddedPostgres({ dataDir: join(folder, 'data') }, internals);
  await server.start();
  return { config: server.connectionConfig, stop: () => discard(server, folder) };
}

async function discard(server: EmbeddedPostgres, folder: string): Promise<void> {
  const { dataDir } = server;
  await server.stop();
  for (const path of [dataDir, folder]) await removeFolder(path);
}
