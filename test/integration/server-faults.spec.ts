import { chmod, chown, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runsAsRoot, unprivilegedAccount } from '../../lib/engine/connection/embedded/account.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { ownServer, type OwnServer } from './support/own-server.js';
import { workingEngine } from './support/working-engine.js';

/** A certificate for `localhost` that signs itself, and its key: for tests, and worth nothing. */
const FIXTURES = new URL('./fixtures/', import.meta.url);

/** The account under which servers of tests run. */
async function serverAccount(): Promise<{ uid: number; gid: number }> {
  return runsAsRoot() ? unprivilegedAccount() : { uid: process.getuid!(), gid: process.getgid!() };
}

describe('a NOTIFY queue that is full because of a listener elsewhere in the cluster', () => {
  /** The smallest there is; before 17 it cannot be made smaller than 8 GB. */
  const SMALLEST = 64;
  const CHANNEL = 'filler';

  const version = async () => {
    const database = await testDatabase({ migrated: false });
    const [row] = await database.query<{ version: number }>(
      `select current_setting('server_version_num')::integer as version`,
    );
    return row!.version;
  };

  /** Somebody listens and stays in a transaction; somebody else notifies until the server refuses. */
  const fill = async ({ connect }: OwnServer) => {
    const stuck = await connect('postgres');
    await stuck.query(`listen ${CHANNEL}`);
    await stuck.query('begin');
    await stuck.query('select 1');
    const filler = await connect('postgres');
    const notify = () =>
      filler.query(`select pg_notify($1, repeat('x', 7000) || n) from generate_series(1, 20) n`, [CHANNEL]);
    await expect(
      (async () => {
        for (;;) await notify();
      })(),
    ).rejects.toMatchObject({ code: '54000' });
    return { stuck, notify };
  };

  it('fails no commit and holds up no job', async ({ skip }) => {
    if ((await version()) < 170_000) skip('the queue cannot be made small');
    const server = await ownServer([`max_notify_queue_pages=${SMALLEST}`]);
    const { taskmaster, log } = await workingEngine(server.database, { mail: () => undefined });
    await log.of('listenerRestored').count(1);
    const { stuck, notify } = await fill(server);
    await log.of('engineWarning').find(({ message }) => message.includes('NOTIFY queue'));
    await new JobTable(server.database).insert('mail');
    await taskmaster.publisher.enqueue('mail');
    await log.of('completed').count(2);
    const { schema } = new JobTable(server.database);
    for (const call of ['pause', 'resume']) await server.database.query(`select ${schema}.${call}('mail')`);
    // It does not heal by itself when the listener is gone: somebody has to ask how full it is.
    await stuck.query('rollback');
    await eventually(() => notify().then(() => true));
    await new JobTable(server.database).insert('mail');
    await log.of('completed').count(3);
  });
});

describe('a crash of the database server', () => {
  it('loses no worker and no lease: what runs is settled, once', async () => {
    const { database, connect } = await ownServer();
    const jobs = new JobTable(database);
    const passed = gate();
    const { log } = await workingEngine(
      database,
      { mail: () => passed.pass() },
      { lease: { ttlMs: 20_000, heartbeatMs: 500, heartbeat: 'main' } },
    );
    const id = await jobs.insert('mail');
    await passed.reached();
    await jobs.insert('other'); // its commit is durable, and with it everything before, which the claim alone is not
    const before = await jobs.workers();
    const { rows } = await (await connect()).query<{ pid: number }>('select pg_backend_pid() as pid');
    process.kill(rows[0]!.pid, 'SIGKILL');
    await log.of('databaseLost').count(1);
    await log.of('databaseRestored').count(1);
    expect(await jobs.workers()).toEqual(before);
    expect(await jobs.of(id)).toMatchObject({ state: 'running' });
    passed.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
    await eventually(async () => (await jobs.of(id)) === undefined);
    expect(log.of('started').values).toHaveLength(1);
    expect(log.of('rescued').values).toEqual([]);
  });

  it('empties no table: none is unlogged', async () => {
    const database = await testDatabase();
    expect(
      await database.query(
        `select relname from pg_class where relnamespace = $1::regnamespace and relpersistence <> 'p'`,
        [`"${database.schema}"`],
      ),
    ).toEqual([]);
  });
});

describe('a server that is out of space', () => {
  it('fails enqueue() loudly, and goes on to drain what is there', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const passed = gate();
    const { taskmaster, log } = await workingEngine(database, { mail: () => passed.pass() });
    const id = await jobs.insert('mail');
    await passed.reached();
    await database.query(`
      create function full_disk() returns trigger language plpgsql as
        $$ begin raise sqlstate '53100' using message = 'could not extend file: No space left on device'; end $$;
      create trigger full_disk before insert on ${jobs.schema}.jobs for each row execute function full_disk()`);
    await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({ code: 'TM_STORAGE_FULL' });
    passed.open();
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id }]);
    await jobs.empty();
    await database.query(`drop trigger full_disk on ${jobs.schema}.jobs`);
    await taskmaster.publisher.enqueue('mail');
    await log.of('completed').count(2);
  });
});

describe('a server that cannot prove who it is', () => {
  it('is refused when TLS is asked for and it has none', async () => {
    const database = await testDatabase();
    const connection = `${database.url}?sslmode=require`;
    await expect(openEngine(database, { connection, connectTimeoutMs: 300 })).rejects.toMatchObject({
      code: 'TM_DATABASE_UNREACHABLE',
      reason: expect.stringContaining('SSL'),
    });
  });

  /** A server with this certificate, and how to open an engine on it by a host name. */
  const tlsServer = async (certificate: string) => {
    const folder = await temporaryFolder();
    const [cert, key] = [join(folder, 'server.crt'), join(folder, 'server.key')];
    await copyFile(new URL(certificate, FIXTURES), cert);
    await copyFile(new URL('server.key', FIXTURES), key);
    const { uid, gid } = await serverAccount();
    for (const file of [cert, key]) await chown(file, uid, gid);
    await chmod(key, 0o600);
    const { database } = await ownServer(['ssl=on', `ssl_cert_file=${cert}`, `ssl_key_file=${key}`]);
    const ca = await readFile(cert, 'utf8');
    const open = (host: string, ssl: object) =>
      openEngine(database, { connection: { ...database.config, host, ssl }, connectTimeoutMs: 1_000 });
    return { ca, open };
  };
  const refused = (reason: string) => ({
    code: 'TM_DATABASE_UNREACHABLE',
    reason: expect.stringContaining(reason),
  });

  it('is refused when nobody vouches for its certificate, or it is that of another host', async () => {
    const { ca, open } = await tlsServer('server.crt');
    await expect(open('localhost', {})).rejects.toMatchObject(refused('self-signed certificate'));
    await expect(open('127.0.0.1', { ca })).rejects.toMatchObject(
      refused("IP: 127.0.0.1 is not in the cert's list"),
    );
    const taskmaster = await open('localhost', { ca });
    await expect(taskmaster.health()).resolves.toMatchObject({ status: 'up' });
  });

  it('is refused when its certificate has expired', async () => {
    const { ca, open } = await tlsServer('expired.crt');
    await expect(open('localhost', { ca })).rejects.toMatchObject(refused('certificate has expired'));
  });
});
