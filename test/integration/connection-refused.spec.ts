import { inspect } from 'node:util';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Taskmaster, type TaskmasterError, type TaskmasterOptions } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

async function openingError(
  database: TestDatabase,
  options: Partial<TaskmasterOptions>,
): Promise<TaskmasterError> {
  const error = await engine(database, options)
    .open()
    .then(
      () => new Error('opened'),
      (thrown: unknown) => thrown,
    );
  return error as TaskmasterError;
}

/** All the ways in which an error is usually shown. */
function shownBy(error: unknown): string {
  const { message, stack } = error as Error;
  return [message, stack, JSON.stringify(error), inspect(error, { depth: null, showHidden: true })].join(
    '\n',
  );
}

describe('a connection that cannot succeed', () => {
  it.each([
    ['a wrong password', { password: 'wrong-secret' }, '28P01'],
    ['an unknown role', { user: 'nobody-here', password: 'wrong-secret' }, '28P01'],
    ['an unknown database', { database: 'no_such_database' }, '3D000'],
  ])('fails at once, not after connectTimeoutMs: %s', async (_what, wrong, sqlState) => {
    const database = await testDatabase();
    const error = await openingError(database, {
      connection: { ...database.config, ...wrong },
      connectTimeoutMs: 1_000_000, // longer than any test may take
    });
    expect(error).toMatchObject({ code: 'TM_DATABASE_UNREACHABLE', cause: { code: sqlState } });
    expect(shownBy(error)).not.toContain('wrong-secret');
  });

  it('says where it was tried, and why it failed', async () => {
    const database = await testDatabase();
    const { host, port } = database.config;
    const error = await openingError(database, {
      connection: { ...database.config, database: 'no_such_database' },
    });
    expect(error).toMatchObject({
      target: `${host}:${port}/no_such_database`,
      reason: 'database "no_such_database" does not exist',
    });
  });
});

describe('a database that does not answer', () => {
  it('is given up after connectTimeoutMs when it refuses connections', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.refuse();
    const error = await openingError(database, { connection, connectTimeoutMs: 300 });
    expect(error).toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
  });

  it('is given up after connectTimeoutMs when it says nothing', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.blackhole();
    const error = await openingError(database, { connection, connectTimeoutMs: 300 });
    expect(error).toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
  });

  it('is waited for as long', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.refuse();
    const taskmaster = engine(database, { connection, connectTimeoutMs: 20_000 });
    const opened = taskmaster.open();
    const refused = new Promise<void>((resolve) => setImmediate(resolve));
    await refused;
    proxy.pass();
    await opened;
    await expect(taskmaster.publisher.enqueue('mail')).resolves.toMatchObject({ id: '1' });
  });

  it('can be opened later by the same engine', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.refuse();
    const taskmaster = engine(database, { connection, connectTimeoutMs: 300 });
    await expect(taskmaster.open()).rejects.toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
    await expect(taskmaster.start()).rejects.toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
    proxy.pass();
    await eventually(async () => {
      await taskmaster.start(); // a slow machine may take longer to connect than is allowed here
    });
    expect(taskmaster.state).toBe('running');
  });
});

describe('health()', () => {
  it('answers when a pool that was lent has no connection to spare', async () => {
    const database = await testDatabase();
    const pool = new pg.Pool({ ...database.config, max: 1 });
    onTestFinished(() => pool.end());
    const taskmaster = await openEngine(database, { connection: { pool } });
    const only = await pool.connect();
    expect(await taskmaster.health()).toMatchObject({ status: 'down' });
    only.release();
    expect(await taskmaster.health()).toMatchObject({ status: 'up' });
  });
});

describe("connect: 'lazy'", () => {
  it('starts without the database, is down, and works when it has come', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.refuse();
    const taskmaster = engine(database, { connection, connect: 'lazy' });
    const handled = new SignalPoint<unknown>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      handle: (payload: unknown) => handled.signal(payload),
    });
    await taskmaster.open();
    await taskmaster.start();
    expect(taskmaster.state).toBe('starting');
    expect(await taskmaster.health()).toMatchObject({ status: 'down', details: { database: 'unreachable' } });
    await expect(taskmaster.publisher.enqueue('mail')).rejects.toMatchObject({
      code: 'TM_DATABASE_UNREACHABLE',
    });
    const started = nextEvent(taskmaster.events, 'engineStarted');
    proxy.pass();
    await started;
    await taskmaster.publisher.enqueue('mail', 1);
    expect(await handled.count(1)).toEqual([1]);
    await eventually(async () => expect(await taskmaster.health()).toMatchObject({ status: 'up' }));
  });

  it('can be closed while it waits for a database that never comes', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    proxy.refuse();
    const taskmaster = engine(database, { connection, connect: 'lazy' });
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    await taskmaster.start();
    await taskmaster.close();
    await expect(taskmaster.open()).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });
});

describe('an error about a connection', () => {
  /** Passwords that a URL has to escape, and somebody did not. */
  it.each([
    'postgres://me:se/cret@127.0.0.1:1/db',
    'postgres://me:se@cret@127.0.0.1:1/db',
    'postgres://me:se?cret@127.0.0.1:1/db',
    'postgres://me:se#cret@127.0.0.1:1/db',
    'postgres://me:se%cret@127.0.0.1:1/db',
    'postgres://me:secret@127.0.0.1:1,127.0.0.1:2/db',
    'postgres://me:secret@127.0.0.1:1/db?password=cret',
    'postgres://127.0.0.1:1/db?user=me&password=secret',
    'postgres://me:secret@[::1]:1/db',
    'postgres://me:secret@no-such-host.invalid/db',
    'socket:/nowhere?db=db&user=me&password=secret',
  ])('never shows a password: %s', async (connection) => {
    const open = async () => {
      const taskmaster = new Taskmaster({ connection, connectTimeoutMs: 100 });
      onTestFinished(() => taskmaster.close());
      await taskmaster.open();
    };
    const error = await open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^TM_(DATABASE_UNREACHABLE|INVALID_OPTIONS)$/),
    });
    expect(shownBy(error)).not.toContain('cret');
  });
});
