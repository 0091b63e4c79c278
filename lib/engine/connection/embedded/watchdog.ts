import { spawn, type ChildProcess } from 'node:child_process';
import type { ServerAccount } from './account.js';

/**
 * Ends when it is told so; when this process ends without a word, however that comes about, the pipe between them
 * closes: a fast shutdown then.
 */
const SCRIPT = 'read -r word || kill -INT "$1"';

/**
 * A shell that shuts the server down when this process has died without doing so: it must outlive Ctrl-C, so it
 * cannot die with this process by itself. None on Windows, where an orphaned server runs on until the next start
 * finds it.
 */
export class Watchdog {
  readonly #shell: ChildProcess | undefined;

  constructor(serverPid: number, account: ServerAccount | undefined) {
    if (process.platform !== 'win32') this.#shell = watch(serverPid, account);
  }

  /** Before the server is stopped: a pid must not be signalled once it may be another process's. */
  dismiss(): void {
    this.#shell?.stdin?.end('done\n');
  }
}

function watch(serverPid: number, account: ServerAccount | undefined): ChildProcess {
  const args = ['-c', SCRIPT, 'taskmaster-watchdog', String(serverPid)];
  const shell = spawn('/bin/sh', args, {
    ...account,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no watchdog, and all else works; and a shell that was killed takes no word.
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  return shell;
}
