import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { EmbeddedPostgresError } from '../../errors.js';
import type { Deadline } from './deadline.js';
import { OwnedServer } from './owned-server.js';
import { readPidFile } from './pid-file.js';
import { lastLines, programEnvironment } from './program.js';
import { RunningServer } from './server.js';
import { ServerLog } from './server-log.js';
import type { ServerSite } from './site.js';
import { Watchdog } from './watchdog.js';

/** How to start a server. */
export interface LaunchOptions {
  /** TCP port on 127.0.0.1; 0: a free one. */
  readonly port: number;
  /** More arguments for `postgres`. */
  readonly flags: readonly string[];
}

/**
 * Starts a server and waits until it is ready. Nothing when another process was faster with the data folder, or
 * with the free port that was chosen: look for a running server again, then try again.
 */
export async function launchServer(
  site: ServerSite,
  { port, flags }: LaunchOptions,
  deadline: Deadline,
): Promise<OwnedServer | undefined> {
  const log = await ServerLog.open(site);
  try {
    const chosenPort = port === 0 ? await freePort() : port;
    const child = await spawnServer(site, [...serverArguments(site.dataDir, chosenPort), ...flags], log);
    const server = new RunningServer(site, child.pid!, chosenPort);
    const watchdog = new Watchdog(server.pid, site.account);
    if (await becomesReady(child, site.dataDir, deadline)) return new OwnedServer(server, watchdog);
    watchdog.dismiss();
    explainEnd(await log.read(), port);
    return undefined;
  } finally {
    await log.close();
  }
}

/** Reachable by TCP on the loopback address alone; a socket file would need a folder, with a path of at most 107 bytes. */
function serverArguments(dataDir: string, port: number): string[] {
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'log_checkpoints=off'];
  return ['-D', dataDir, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
}

/** Free for now: {@link explainEnd} copes with a program that takes it first. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** In a session of its own, so that Ctrl-C in the terminal is not for it, and without a hold on the event loop. */
async function spawnServer(
  { binaries, account }: ServerSite,
  args: string[],
  log: ServerLog,
): Promise<ChildProcess> {
  const child = spawn(binaries.postgres, args, {
    ...account,
    cwd: '/',
    detached: true,
    env: programEnvironment(),
    stdio: ['ignore', log.descriptor, log.descriptor],
    windowsHide: true,
  });
  child.unref();
  await once(child, 'spawn');
  return child;
}

async function becomesReady(child: ChildProcess, dataDir: string, deadline: Deadline): Promise<boolean> {
  try {
    while (child.exitCode === null && child.signalCode === null) {
      const file = await readPidFile(dataDir);
      if (file?.pid === child.pid && file?.status === 'ready') return true;
      await deadline.pause();
    }
    return false;
  } catch (error) {
    child.kill('SIGQUIT'); // out of patience: whatever it does, it recovers at its next start
    throw error;
  }
}

/**
 * Throws, unless another try may end otherwise: another server has the data folder, one that was killed still has
 * sessions that come to their end, or a port that was free was taken before the server bound it.
 */
function explainEnd(said: string, wantedPort: number): void {
  if (said.includes('lock file "postmaster.pid" already exists')) return;
  if (said.includes('pre-existing shared memory block')) return;
  if (said.includes('could not bind') && wantedPort === 0) return;
  throw new EmbeddedPostgresError(`the server did not start:\n${lastLines(said)}`);
}
