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

    first.process.kill('SIGINT');
    expect(await first.process.exit()).toEqual({ code: 0, signal: null });
    expect(await isGone(server)).toBe(true);

    const second = await startIn(dataDir);
    expect(await second.url()).not.toBe(firstUrl);
    expect((await second.signUp({ email: 'ada@example.com' })).status).toBe(409);
    second.process.kill('SIGINT');
    await second.process.exit();
  });

  it('prints a connection string that works', async () => {
    const dataDir = await temporaryFolder();
    const app = await startIn(dataDir);
    const line = await app.process.line(/ psql /);
    const [, connectionString] = /psql (postgres:\S+) -c/.exec(line)!;

    const client = new pg.Client(connectionString);
    await client.connect();
    await client.query(
      `insert into taskmaster.jobs (queue_name, payload) values ('send_email', '{"to": "sql@example.com"}')`,
    );
    await client.end();

    await app.process.line(/id=\d+ status=ack/);
    app.process.kill('SIGINT');
    await app.process.exit();
  });

  it('shares the server with a second process on the same data folder', async () => {
    const dataDir = await temporaryFolder();
    const first = await startIn(dataDir);
    await first.url();
    const server = await serverPid(dataDir);

    const second = await startIn(dataDir);
    await second.process.line(/^First round: 3 acked, 1 rejected, as expected\.$/);
    second.process.kill('SIGINT');
    expect(await second.process.exit()).toEqual({ code: 0, signal: null });

    expect(await serverPid(dataDir)).toBe(server);
    expect(await first.get('/health')).toMatchObject({ status: 'up' });
    first.process.kill('SIGINT');
    await first.process.exit();
    expect(await isGone(server)).toBe(true);
  });

  it('leaves no server behind after a second Ctrl-C', async () => {
    const dataDir = await temporaryFolder();
    const app = await startIn(dataDir, ENDLESS_MAILS);
    await app.process.line(/ status=start /);
    const server = await serverPid(dataDir);
    app.process.kill('SIGINT');
    await app.process.line(/^waiting for/);

    app.process.kill('SIGINT');

    expect(await app.process.exit()).toEqual({ code: 130, signal: null });
    await eventually(() => isGone(server));
  });
});
