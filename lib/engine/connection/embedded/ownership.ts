import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './pid-file.js';

/**
 * Which process stops a server: the one that started it or, when that has died without stopping it, the first that
 * finds it. Kept in a file of the data folder, with the server's pid, so that one of an earlier server says nothing.
 */
export class Ownership {
  readonly #file: string;

  constructor(
    dataDir: string,
    private readonly serverPid: number,
  ) {
    this.#file = join(dataDir, 'taskmaster.owner');
  }

  /** For the process that started the server. */
  async take(): Promise<void> {
    await rm(this.#file, { force: true });
    // A new file (`wx`): as root this writes into another account's folder, where a link must not lead it elsewhere.
    await writeFile(this.#file, `${this.serverPid} ${process.pid}\n`, { mode: 0o600, flag: 'wx' });
  }

  /** For a process that found the server running. True when its owner is dead and this process took its place. */
  async inherit(): Promise<boolean> {
    const [server, owner] = (await readFile(this.#file, 'utf8').catch(() => '')).split(' ').map(Number);
    if (server !== this.serverPid || owner === undefined || isAlive(owner)) return false;
    return this.#replace();
  }

  /** Of several processes that find the server orphaned, one succeeds in moving the file away. */
  async #replace(): Promise<boolean> {
    const aside = `${this.#file}.${process.pid}`;
    try {
      await rename(this.#file, aside);
    } catch {
      return false;
    }
    await this.take();
    await rm(aside, { force: true });
    return true;
  }
}
