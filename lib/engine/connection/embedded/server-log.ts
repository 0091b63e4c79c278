import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerSite } from './site.js';

/** A longer log is begun anew when the server starts. */
const KEPT_LOG_BYTES = 1_000_000;

// As root this writes into another account's folder: a link there must not lead it elsewhere. Windows has no such flag.
const APPEND = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0);

/** What a server prints: a file in its data folder, since a pipe would tie it to this process. */
export class ServerLog {
  private constructor(
    private readonly file: FileHandle,
    private readonly start: number,
  ) {}

  static async open({ dataDir, account }: ServerSite): Promise<ServerLog> {
    const file = await open(join(dataDir, 'server.log'), APPEND, 0o600);
    if (account !== undefined) await file.chown(account.uid, account.gid);
    const { size } = await file.stat();
    if (size <= KEPT_LOG_BYTES) return new ServerLog(file, size);
    await file.truncate();
    return new ServerLog(file, 0);
  }

  /** For a program to print to. */
  get descriptor(): number {
    return this.file.fd;
  }

  /** What was printed since this was opened. */
  async read(): Promise<string> {
    const { size } = await this.file.stat();
    const { buffer, bytesRead } = await this.file.read(Buffer.alloc(Math.max(0, size - this.start)), {
      position: this.start,
    });
    return buffer.toString('utf8', 0, bytesRead);
  }

  /** The server that prints to it has a descriptor of its own. */
  async close(): Promise<void> {
    await this.file.close();
  }
}
