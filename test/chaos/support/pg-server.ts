import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { runsAsRoot, unprivilegedAccount } from '../../../lib/engine/connection/embedded/account.js';
import { binariesIn, peerBinaries } from '../../../lib/engine/connection/embedded/binaries.js';
import { programEnvironment, runProgram } from '../../../lib/engine/connection/embedded/program.js';
import { Migrator } from '../../../lib/engine/index.js';
import { eventually } from '../../support/eventually.js';
import { makeTemporaryFolder, removeFolder } from '../../support/temporary-folder.js';
import type { TestDatabase } from '../../support/test-database.js';

/** Debian's programs: they include `pg_basebackup` and can load `libfaketime`. */
export const DEBIAN_POSTGRES = '/usr/lib/postgresql/15/bin';
export const HAS_DEBIAN_POSTGRES = existsSync(join(DEBIAN_POSTGRES, 'pg_basebackup'));

/** Options of {@link pgServer}. */
export interface PgServerOptions {
  /** Settings, such as `max_connections=10`. */
  readonly settings?: readonly string[];
  /** Added to the environment of the server, such as LD_PRELOAD. */
  readonly env?: Readonly<Record<string, string>>;
  /** Folder of the programs. @default those of the embedded server */
  readonly binDir?: string;
  /** @default 127.0.0.1 */
  readonly host?: string;
  /** Programs of the server run inside this, such as `ip netns exec NAME`. @default nothing */
  readonly wrapper?: readonly string[];
}

const PASSWORD = 'chaos';

/** A server that belongs to one test, and that can be treated as badly as servers are. */
export class PgServer {
  #child: ChildProcess | undefined;

  constructor(
    readonly folder: string,
    readonly port: number,
    private readonly programs: { readonly initdb: string; readonly pgCtl: string; readonly postgres: string },
    private readonly account: { readonly uid: number; readonly gid: number } | undefined,
    readonly options: PgServerOptions,
  ) {}

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  get config(): pg.ClientConfig {
    const host = this.options.host ?? '127.0.0.1';
    return { host, port: this.port, user: 'postgres', password: PASSWORD, database: 'postgres' };
  }

  /** Process id of the postmaster. */
  get pid(): number {
    return this.#child!.pid!;
  }

  async init(): Promise<void> {
    const passwordFile = join(this.folder, 'password');
    await writeFile(passwordFile, PASSWORD);
    await this.own(passwordFile);
    await this.run(this.programs.initdb, [
      '-D', this.dataDir, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync', '-E', 'UTF8',
    ]); // prettier-ignore
    await this.configure(['max_connections=200', 'log_checkpoints=off', ...(this.options.settings ?? [])]);
    await appendFile(join(this.dataDir, 'pg_hba.conf'), 'host all all 0.0.0.0/0 scram-sha-256\n');
  }

  /** Settings for the next start. */
  async configure(settings: readonly string[]): Promise<void> {
    const lines = settings.map((setting) => setting.replace(/=(.*)$/s, " = '$1'"));
    await appendFile(join(this.dataDir, 'postgresql.conf'), `${lines.join('\n')}\n`);
  }

  /** Resolves when it accepts connections. */
  async start({ timeoutMs = 60_000 } = {}): Promise<void> {
    await this.launch();
    await eventually(() => this.query('select 1'), { timeoutMs });
  }

  /** Resolves when the process has been started, whether or not it comes up. */
  async launch(): Promise<void> {
    const host = this.options.host ?? '127.0.0.1';
    const [command, ...args] = [
      ...(this.options.wrapper ?? []),
      this.programs.postgres,
      '-D', this.dataDir, '-p', String(this.port),
      '-c', `listen_addresses=${host}`, '-c', 'unix_socket_directories=',
    ]; // prettier-ignore
    const child = spawn(command, args, {
      ...(this.options.wrapper === undefined ? this.account : {}),
      cwd: '/',
      env: { ...programEnvironment(), ...this.options.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (chunk: Buffer) => void appendFile(join(this.folder, 'log'), chunk));
    await once(child, 'spawn');
    this.#child = child;
  }

  /** As a power cut does: nothing is written any more. Resolves when it is gone. */
  crash(): Promise<void> {
    return this.#end('SIGQUIT');
  }

  /** A fast shutdown: sessions are ended, everything is written. */
  stop(): Promise<void> {
    return this.#end('SIGINT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** What it has logged so far. */
  log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8').catch(() => '');
  }

  /** One statement on a connection of its own. */
  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({
      ...this.config,
      application_name: 'test',
      connectionTimeoutMillis: 10_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Its one database, with the schema of the engine, for what takes a test's database. */
  async database(schema = process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster'): Promise<TestDatabase> {
    const client = await this.client();
    await new Migrator(schema).run(client);
    await client.end();
    return this.databaseAt(this.config, schema);
  }

  /** The same, reached by another way, such as a proxy. */
  databaseAt(
    config: pg.ClientConfig,
    schema = process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster',
  ): TestDatabase {
    return {
      name: 'postgres',
      schema,
      config,
      url: `postgres://postgres:${PASSWORD}@${config.host}:${config.port}/postgres`,
      query: (text, values) => this.query(text, values),
      client: async () => {
        const client = await this.client();
        onTestFinished(() => client.end());
        return client;
      },
    };
  }

  async client(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.config, application_name: 'test' });
    client.on('error', () => undefined); // its end is what a test is about
    await client.connect();
    return client;
  }

  /** Hands a file or folder to the account of the server. */
  async own(path: string): Promise<void> {
    if (this.account !== undefined) await chown(path, this.account.uid, this.account.gid);
  }

  run(program: string, args: readonly string[]): Promise<string> {
    return runProgram(program, args, this.account);
  }

  /** Ends the recovery of a standby. */
  promote(): Promise<string> {
    return this.run(this.programs.pgCtl, ['-D', this.dataDir, 'promote', '-w']);
  }
}

/** A server for a test, not started and without data; ended and removed after the test. */
export async function emptyPgServer(options: PgServerOptions = {}): Promise<PgServer> {
  const folder = await makeTemporaryFolder();
  const binDir = options.binDir ?? process.env['TASKMASTER_TEST_PG'];
  const programs = await (binDir === undefined ? peerBinaries(import.meta.url) : binariesIn(binDir));
  const account = runsAsRoot() ? await unprivilegedAccount() : undefined;
  const server = new PgServer(folder, await freePort(), programs, account, options);
  await mkdir(server.dataDir, { mode: 0o700 });
  await server.own(server.dataDir);
  await server.own(folder);
  onTestFinished(async () => {
    await server.crash();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await removeFolder(folder);
  }, 60_000);
  return server;
}

/** A server for a test, running. */
export async function pgServer(options: PgServerOptions = {}): Promise<PgServer> {
  const server = await emptyPgServer(options);
  await server.init();
  await server.start();
  return server;
}

/** A standby of a running server, with Debian's `pg_basebackup`; it streams as `name`. Not started. */
export async function standbyOf(
  primary: PgServer,
  name: string,
  options: PgServerOptions = {},
): Promise<PgServer> {
  const standby = await emptyPgServer({ binDir: DEBIAN_POSTGRES, ...options });
  const { host, port, user, password } = primary.config;
  const source = `host=${host} port=${port} user=${user} password=${password as string} application_name=${name}`;
  await standby.run(join(DEBIAN_POSTGRES, 'pg_basebackup'), [
    '-D', standby.dataDir, '-d', source, '-R', '-X', 'stream', '-c', 'fast', '--no-sync',
  ]); // prettier-ignore
  return standby;
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
