import { EmbeddedPostgresError } from '../../errors.js';
import { Deadline } from './deadline.js';
import { pidFilePath, processOf, readPidFile, removeStalePidFile } from './pid-file.js';
import { runProgram } from './program.js';
import type { ServerSite } from './site.js';

const FAST_SHUTDOWN_MS = 30_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;

/** A PostgreSQL server that runs on a data folder, whoever started it. */
export class RunningServer {
  constructor(
    private readonly site: ServerSite,
    readonly pid: number,
    readonly port: number,
  ) {}

  /** Ends its sessions and waits until the process is gone. One that does not come to an end recovers at its next start. */
  async stop(): Promise<void> {
    await this.#signal('INT');
    try {
      await this.#gone(FAST_SHUTDOWN_MS);
    } catch {
      await this.#signal('QUIT');
      await this.#gone(IMMEDIATE_SHUTDOWN_MS);
    }
  }

  async #signal(name: 'INT' | 'QUIT'): Promise<void> {
    if (!(await this.#isRunning())) return;
    const { binaries, account } = this.site;
    // Windows has no signals: there PostgreSQL brings its own.
    if (process.platform === 'win32')
      await runProgram(binaries.pgCtl, ['kill', name, String(this.pid)], account);
    else process.kill(this.pid, `SIG${name}`);
  }

  async #gone(timeoutMs: number): Promise<void> {
    const deadline = new Deadline(timeoutMs, `the server (process ${this.pid}) did not end`);
    while (await this.#isRunning()) await deadline.pause();
  }

  async #isRunning(): Promise<boolean> {
    return (await processOf(this.pid, this.site.dataDir)) === 'server';
  }
}

/** The server that uses the data folder already, once it is ready; nothing when there is none, or when it goes away. */
export async function findServer(site: ServerSite, deadline: Deadline): Promise<RunningServer | undefined> {
  for (;;) {
    const file = await readPidFile(site.dataDir);
    if (file === undefined) return undefined;
    switch (await processOf(file.pid, site.dataDir)) {
      case 'gone':
        await removeStalePidFile(site.dataDir, file);
        return undefined;
      case 'other':
        throw new EmbeddedPostgresError(foreignServer(site.dataDir, file.pid));
      case 'server':
        if (file.status === 'ready') return new RunningServer(site, file.pid, file.port);
    }
    await deadline.pause();
  }
}

function foreignServer(dataDir: string, pid: number): string {
  return (
    `process ${pid}, a PostgreSQL that Taskmaster did not start, may be using ${dataDir}. ` +
    `Stop it; or, if it uses another folder, delete ${pidFilePath(dataDir)}.`
  );
}
