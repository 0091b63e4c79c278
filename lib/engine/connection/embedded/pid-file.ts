import { execFile } from 'node:child_process';
import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What `postmaster.pid` in the data folder says about the server that uses it. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** `starting`, `ready`, `stopping` ...; empty in the first moments. */
  readonly status: string;
}

/**
 * What the process is that a pid file names. `server`: a server on this data folder; `other`: a PostgreSQL that was
 * not started here, which may or may not use the folder; `gone`: nothing that could use it.
 */
export type PidFileProcess = 'server' | 'other' | 'gone';

/** Nothing when no server uses the folder, or one has only just begun to. */
export async function readPidFile(dataDir: string): Promise<PidFile | undefined> {
  const content = await readFile(pidFilePath(dataDir), 'utf8').catch(() => '');
  // pid, data folder, start time, port, socket folder, address, shared memory key, status
  // https://www.postgresql.org/docs/current/storage-file-layout.html
  const [pid, , , port, , , , status] = content.split('\n').map((line) => line.trim());
  return Number(pid) > 0 ? { pid: Number(pid), port: Number(port), status: status ?? '' } : undefined;
}

export function pidFilePath(dataDir: string): string {
  return join(dataDir, 'postmaster.pid');
}

/**
 * Removes the pid file of a server that died. PostgreSQL does so by itself unless the pid lives on as another process
 * of the same user, as it easily does in a container, where it then refuses to start.
 */
export async function removeStalePidFile(dataDir: string, stale: PidFile): Promise<void> {
  const current = await readPidFile(dataDir);
  if (current?.pid === stale.pid) await unlink(pidFilePath(dataDir)).catch(() => undefined);
}

/** A pid says little, since pids are used again: the command line tells what it is. */
export async function processOf(pid: number, dataDir: string): Promise<PidFileProcess> {
  if (!isAlive(pid)) return 'gone';
  if (process.platform === 'win32') return 'server'; // no command line to look at; a wrong guess fails to connect
  const command = await commandLine(pid);
  if (!/(^|\/)postgres[:\s]/.test(command)) return 'gone';
  return command.includes(` -D ${dataDir} `) ? 'server' : 'other';
}

/** Also true for a process of another user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Empty for a process that has ended but was not waited for by its parent yet. */
async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return args.replaceAll('\0', ' ');
  }
  return new Promise((resolve) => {
    execFile('ps', ['-ww', '-o', 'command=', '-p', String(pid)], (_error, stdout) => resolve(stdout));
  });
}
