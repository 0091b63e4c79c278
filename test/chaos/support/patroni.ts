import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { runsAsRoot, unprivilegedAccount } from '../../../lib/engine/connection/embedded/account.js';
import { programEnvironment } from '../../../lib/engine/connection/embedded/program.js';
import { eventually } from '../../support/eventually.js';
import { makeTemporaryFolder, removeFolder } from '../../support/temporary-folder.js';
import { DEBIAN_POSTGRES, freePort } from './pg-server.js';

const PROGRAMS = { etcd: '/usr/bin/etcd', patroni: '/usr/bin/patroni', haproxy: '/usr/sbin/haproxy' };

/** Debian's packages `patroni`, `etcd-server`, `haproxy` and `postgresql-15`. */
export const PATRONI = [...Object.values(PROGRAMS), join(DEBIAN_POSTGRES, 'postgres')].every((path) =>
  existsSync(path),
);

interface Node {
  readonly name: string;
  readonly port: number;
  readonly api: number;
  process: ChildProcess;
}

/** PostgreSQL as many run it: nodes that watch each other through etcd, with synchronous replication, behind HAProxy. */
export class PatroniCluster {
  constructor(
    private readonly folder: string,
    private readonly nodes: readonly Node[],
    /** To whichever node leads. */
    readonly config: pg.ClientConfig,
  ) {}

  /** The node that leads, as Patroni has it. */
  async leader(): Promise<Node | undefined> {
    for (const node of this.nodes) if (await answers(node, '/primary')) return node;
    return undefined;
  }

  /** Resolves when there is a leader and a standby that confirms every commit. */
  async ready(): Promise<void> {
    await eventually(async () => (await this.leader()) !== undefined, { timeoutMs: 120_000 });
    await eventually(
      async () => (await this.query(`select from pg_stat_replication where sync_state = 'sync'`)).length > 0,
      {
        timeoutMs: 120_000,
      },
    );
  }

  /** The leader and everything that watches over it are gone at once, as when its machine loses power. */
  async killLeader(): Promise<string> {
    const leader = (await this.leader())!;
    const pidFile = await readFile(join(this.folder, leader.name, 'postmaster.pid'), 'utf8');
    leader.process.kill('SIGKILL');
    process.kill(Number(pidFile.split('\n')[0]), 'SIGKILL');
    return leader.name;
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({
      ...this.config,
      application_name: 'test',
      connectionTimeoutMillis: 3_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    for (const { name } of this.nodes) {
      const pidFile = await readFile(join(this.folder, name, 'postmaster.pid'), 'utf8').catch(() => '');
      const pid = Number(pidFile.split('\n')[0]);
      if (pid > 0) kill(pid);
    }
  }
}

/** Three nodes. Everything ends with the test. */
export async function patroniCluster(): Promise<PatroniCluster> {
  const folder = await makeTemporaryFolder();
  const account = runsAsRoot() ? await unprivilegedAccount() : undefined;
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  const etcdPort = await freePort();
  const started: ChildProcess[] = [];
  const start = async (program: string, args: readonly string[], log: string) => {
    const output = openSync(join(folder, `${log}.log`), 'a');
    const child = spawn(program, args, {
      ...account,
      cwd: folder,
      env: programEnvironment(),
      stdio: ['ignore', output, output],
    });
    await once(child, 'spawn');
    started.push(child);
    return child;
  };
  const peer = `http://127.0.0.1:${await freePort()}`;
  const client = `http://127.0.0.1:${etcdPort}`;
  await start(PROGRAMS.etcd, [
    '--data-dir', join(folder, 'etcd'), '--listen-client-urls', client, '--advertise-client-urls', client,
    '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`,
  ], 'etcd'); // prettier-ignore
  const nodes: Node[] = [];
  for (const name of ['n1', 'n2', 'n3']) {
    const [port, api] = [await freePort(), await freePort()];
    const file = join(folder, `${name}.yml`);
    await mkdir(join(folder, name), { mode: 0o700 });
    if (account !== undefined) await chown(join(folder, name), account.uid, account.gid);
    await writeFile(file, nodeSettings({ folder, name, port, api, etcdPort }));
    nodes.push({ name, port, api, process: await start(PROGRAMS.patroni, [file], name) });
  }
  const port = await freePort();
  await writeFile(join(folder, 'haproxy.cfg'), proxySettings(port, nodes));
  await start(PROGRAMS.haproxy, ['-f', join(folder, 'haproxy.cfg')], 'haproxy');
  const config = { host: '127.0.0.1', port, user: 'postgres', password: 'chaos', database: 'postgres' };
  const cluster = new PatroniCluster(folder, nodes, config);
  onTestFinished(async () => {
    for (const child of started.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    await cluster.stop();
    await removeFolder(folder);
  }, 60_000);
  return cluster;
}

interface NodeSettings {
  readonly folder: string;
  readonly name: string;
  readonly port: number;
  readonly api: number;
  readonly etcdPort: number;
}

/** The shortest times that Patroni accepts. */
function nodeSettings({ folder, name, port, api, etcdPort }: NodeSettings): string {
  return `
scope: chaos
name: ${name}
restapi: { listen: '127.0.0.1:${api}', connect_address: '127.0.0.1:${api}' }
etcd3: { host: '127.0.0.1:${etcdPort}' }
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 4
    synchronous_mode: true
    postgresql: { use_pg_rewind: false, parameters: { max_connections: 100 } }
  initdb: [{ encoding: UTF8 }, no-sync]
  pg_hba: ['host replication all 127.0.0.1/32 scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256']
postgresql:
  listen: 127.0.0.1:${port}
  connect_address: 127.0.0.1:${port}
  data_dir: ${join(folder, name)}
  bin_dir: ${DEBIAN_POSTGRES}
  pgpass: ${join(folder, `${name}.pgpass`)}
  authentication:
    superuser: { username: postgres, password: chaos }
    replication: { username: replicator, password: chaos }
  parameters: { unix_socket_directories: '${folder}', fsync: 'off', password_encryption: scram-sha-256 }
`;
}

function proxySettings(port: number, nodes: readonly Node[]): string {
  const servers = nodes.map(
    ({ name, port: nodePort, api }) => `  server ${name} 127.0.0.1:${nodePort} check port ${api}`,
  );
  return `
global
  maxconn 500
defaults
  mode tcp
  timeout connect 3s
  timeout client 30m
  timeout server 30m
  timeout check 2s
listen primary
  bind 127.0.0.1:${port}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join('\n')}
`;
}

async function answers({ api }: Node, path: string): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${api}${path}`, { signal: AbortSignal.timeout(2_000) }).catch(
    () => undefined,
  );
  await answer?.body?.cancel();
  return answer?.ok === true;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGQUIT');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}
