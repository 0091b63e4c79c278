import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { ENDLESS_MAILS, startSampleApp, type SampleApp } from './sample-app.js';

/** Without DATABASE_URL. */
const EMBEDDED = { DATABASE_URL: '' };

async function serverPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** `false` while the process runs: for `eventually`. */
async function isGone(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) === '';
}

async function startIn(dataDir: string, env: Record<string, string> = {}): Promise<SampleApp> {
  return startSampleApp({ env: { ...EMBEDDED, DATA_DIR: dataDir, ...env } });
}

describe('the sample application without DATABASE_URL', () => {
  it('runs on a PostgreSQL of its own, which ends with it and keeps its data', async () => {
    const dataDir = await temporaryFolder();
    const first = await startIn(dataDir);
    const firstUrl = await first.url();
    expect((await first.signUp({ email: 'ada@example.com' })).status).toBe(201);
    const server = await serverPid(dataDir);

    first.interrupt();
    expect(await first.exit()).toEqual({ code: 0, signal: null });
    expect(await isGone(server)).toBe(true);

    const second = await startIn(dataDir);
    expect(await second.url()).not.toBe(firstUrl);
    expect((await second.signUp({ email: 'ada@example.com' })).status).toBe(409);
    second.interrupt();
    await second.exit();
  });

  it('prints a connection string that works', async () => {
    const dataDir = await temporaryFolder();
    const app = await startIn(dataDir);
    const line = await app.line(/ psql /);
    const [, connectionString] = /psql (postgres:\S+) -c/.exec(line)!;

    const client = new pg.Client(connectionString);
    await client.connect();
    await client.query(
      `insert into taskmaster.jobs (queue_name, payload) values ('send_email', '{"to": "sql@example.com"}')`,
    );
    await client.end();

    await app.line(/id=\d+ status=ack/);
    app.interrupt();
    await app.exit();
  });

  it('shares the server with a second process on the same data folder', async () => {
    const dataDir = await temporaryFolder();
    const first = await startIn(dataDir);
    await first.url();
    const server = await serverPid(dataDir);

    const second = await startIn(dataDir);
    await second.line(/^First round: 3 acked, 1 rejected, as expected\.$/);
    second.interrupt();
    expect(await second.exit()).toEqual({ code: 0, signal: null });

    expect(await serverPid(dataDir)).toBe(server);
    expect(await first.get('/health')).toMatchObject({ status: 'up' });
    first.interrupt();
    await first.exit();
    expect(await isGone(server)).toBe(true);
  });

  it('leaves no server behind after a second Ctrl-C', async () => {
    const dataDir = await temporaryFolder();
    const app = await startIn(dataDir, ENDLESS_MAILS);
    await app.line(/ status=start /);
    const server = await serverPid(dataDir);
    app.interrupt();
    await app.line(/^waiting for/);

    app.interrupt();

    expect(await app.exit()).toEqual({ code: 130, signal: null });
    await eventually(() => isGone(server));
  });
});
