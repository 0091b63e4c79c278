import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** A port at which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Two ways to the same server, each of which can be closed. */
async function twoWays({ config }: TestDatabase) {
  const proxies = [1, 2].map(() => new FaultyProxy({ host: config.host!, port: config.port! }));
  const ports = await Promise.all(proxies.map((proxy) => proxy.listen()));
  onTestFinished(async () => void (await Promise.all(proxies.map((proxy) => proxy.close()))));
  return {
    first: proxies[0]!,
    second: proxies[1]!,
    hosts: ports.map((port) => ({ host: '127.0.0.1', port })),
  };
}

function urlOf({ config, name }: TestDatabase, ...ports: number[]): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `postgres://${config.user}:${config.password}@${hosts}/${name}`;
}

describe('several hosts', () => {
  it('in a URL: the first that answers is used', async () => {
    const database = await testDatabase();
    const connection = urlOf(database, await deadPort(), database.config.port!);
    const { publisher } = await openEngine(database, { connection });
    await expect(publisher.enqueue('mail')).resolves.toMatchObject({ id: '1' });
  });

  it('in a configuration: the first that answers is used', async () => {
    const database = await testDatabase();
    const { host, port, ...rest } = database.config;
    const hosts = [
      { host: '127.0.0.1', port: await deadPort() },
      { host: host!, port: port! },
    ];
    const { publisher } = await openEngine(database, { connection: { ...rest, hosts } });
    await expect(publisher.enqueue('mail')).resolves.toMatchObject({ id: '1' });
  });

  it('none of which answers are unreachable, each tried', async () => {
    const database = await testDatabase();
    const ports = [await deadPort(), await deadPort()];
    const taskmaster = engine(database, { connection: urlOf(database, ...ports), connectTimeoutMs: 300 });
    await expect(taskmaster.open()).rejects.toMatchObject({
      code: 'TM_DATABASE_UNREACHABLE',
      target: expect.stringMatching(new RegExp(`^127.0.0.1:(${ports.join('|')})/${database.name}$`)),
      reason: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('let a publisher go on when the one in use fails: callers that find out at once, and those after them', async () => {
    const database = await testDatabase();
    const { first, second, hosts } = await twoWays(database);
    const { host: _host, port: _port, ...rest } = database.config;
    const { pool, publisher } = await openEngine(database, { connection: { ...rest, hosts } });
    const callers = async () => {
      const calls = await Promise.allSettled([1, 2, 3, 4].map((n) => publisher.enqueueMany('mail', [n])));
      return new Set(calls.map((call) => (call.status === 'fulfilled' ? 'stored' : call.reason.code)));
    };
    expect(await callers()).toEqual(new Set(['stored']));
    first.refuse();
    await eventually(() => pool.totalCount === 0);
    expect(await callers()).toEqual(new Set(['TM_DATABASE_UNREACHABLE']));
    expect(await callers()).toEqual(new Set(['stored']));
    first.pass();
    second.refuse();
    await eventually(() => pool.totalCount === 0);
    expect(await callers()).toEqual(new Set(['TM_DATABASE_UNREACHABLE']));
    expect(await callers()).toEqual(new Set(['stored']));
  });

  it('let a worker go on when the one in use fails', async () => {
    const database = await testDatabase();
    const { first, hosts } = await twoWays(database);
    const { host: _host, port: _port, ...rest } = database.config;
    const taskmaster = engine(database, { connection: { ...rest, hosts } });
    const handled = new SignalPoint<unknown>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      handle: (payload: unknown) => handled.signal(payload),
    });
    await taskmaster.start();
    await database.query(`insert into "${database.schema}".jobs (queue_name, payload) values ('mail', '1')`);
    await handled.count(1);
    first.refuse();
    await database.query(`insert into "${database.schema}".jobs (queue_name, payload) values ('mail', '2')`);
    expect(await handled.count(2)).toEqual([1, 2]);
  });
});
