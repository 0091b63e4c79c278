import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { TaskmasterError } from '../../lib/engine/index.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { testRole } from '../support/test-role.js';

/** Every way to publish. More payloads than one statement takes go another way. */
const CALLS = {
  enqueue: (publisher: Publisher) => publisher.enqueue('mail', 1),
  'enqueueMany of a few': (publisher: Publisher) => publisher.enqueueMany('mail', [1, 2, 3]),
  'enqueueMany of many': (publisher: Publisher) =>
    publisher.enqueueMany('mail', Array<number>(1_500).fill(1)),
};
type Publisher = ReturnType<typeof engine>['publisher'];
const calls = Object.entries(CALLS);

describe.each(calls)('%s', (_name, call) => {
  it('is refused before the engine is open', async () => {
    const { publisher } = engine(await testDatabase());
    await expect(call(publisher)).rejects.toMatchObject({ code: 'TM_NOT_OPEN', operation: 'enqueue' });
  });

  it('is refused after the engine was closed', async () => {
    const taskmaster = await openEngine(await testDatabase());
    await taskmaster.close();
    await expect(call(taskmaster.publisher)).rejects.toMatchObject({
      code: 'TM_CLOSED',
      operation: 'enqueue',
    });
  });

  it('still works after the engine was stopped', async () => {
    const taskmaster = engine(await testDatabase());
    taskmaster.register({ queue: 'other', label: 'other', handle: () => undefined });
    await taskmaster.start();
    await taskmaster.stop();
    await expect(call(taskmaster.publisher)).resolves.toBeDefined();
  });

  it('says that the database cannot be reached, and works again when it can', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { pool, publisher } = await openEngine(database, { connection });
    await call(publisher);
    proxy.refuse();
    await eventually(() => pool.totalCount === 0);
    await expect(call(publisher)).rejects.toMatchObject({
      code: 'TM_DATABASE_UNREACHABLE',
      target: `127.0.0.1:${connection.port}/${database.name}`,
    });
    proxy.pass();
    await expect(call(publisher)).resolves.toBeDefined();
  });

  it('says that the pool had no connection to spare', async () => {
    const database = await testDatabase();
    const connection = { ...database.config, max: 1, connectionTimeoutMillis: 300 };
    const { pool, publisher } = await openEngine(database, { connection });
    const client = await eventually(() => pool.connect()); // a slow machine may take longer to connect
    await expect(call(publisher)).rejects.toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
    client.release();
    await expect(call(publisher)).resolves.toBeDefined();
  });

  it('says that the role lacks a privilege, and nothing that is secret', async () => {
    const database = await testDatabase();
    const role = await testRole(database);
    const { schema } = tablesOf(database.schema);
    await database.query(`grant usage on schema ${schema} to "${role.name}"`);
    await database.query(`grant select on all tables in schema ${schema} to "${role.name}"`);
    const { publisher } = await openEngine(database, { connection: role.config });
    const error = (await call(publisher).catch((thrown: unknown) => thrown)) as TaskmasterError;
    expect(error).toMatchObject({ code: 'TM_PERMISSION_DENIED', operation: 'enqueue' });
    for (const told of [error.message, error.stack, JSON.stringify(error), inspect(error, { depth: null })]) {
      expect(told).not.toContain(role.password);
    }
  });
});

describe('enqueue() with a tx', () => {
  it('is refused after the engine was closed, too', async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database);
    await taskmaster.close();
    const tx = await database.client();
    await expect(taskmaster.publisher.enqueue('mail', 1, { tx })).rejects.toMatchObject({
      code: 'TM_CLOSED',
    });
    await expect(taskmaster.publisher.enqueueMany('mail', [1], { tx })).rejects.toMatchObject({
      code: 'TM_CLOSED',
    });
  });
});

describe('withTransaction()', () => {
  it('is refused before the engine is open, and after it was closed', async () => {
    const taskmaster = engine(await testDatabase());
    const transaction = async () => taskmaster.publisher.withTransaction(async () => undefined);
    await expect(transaction()).rejects.toMatchObject({ code: 'TM_NOT_OPEN' });
    await taskmaster.open();
    await taskmaster.close();
    await expect(transaction()).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });

  it('says that the database cannot be reached', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { publisher } = await openEngine(database, { connection });
    proxy.refuse();
    await expect(publisher.withTransaction(async () => undefined)).rejects.toMatchObject({
      code: 'TM_DATABASE_UNREACHABLE',
    });
  });
});

describe('an error of the server', () => {
  it('keeps what it says about data out of its message', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const { jobs } = tablesOf(database.schema);
    await database.query(
      `alter table ${jobs} add constraint no_secrets check (payload ->> 'secret' is null)`,
    );
    const error = (await publisher
      .enqueue('mail', { secret: 'hunter2' })
      .catch((thrown: unknown) => thrown)) as TaskmasterError;
    expect(error).toMatchObject({ code: 'TM_DATABASE', sqlState: '23514', operation: 'enqueue' });
    expect(error.message).toContain('no_secrets');
    for (const told of [error.message, error.stack, JSON.stringify(error)])
      expect(told).not.toContain('hunter2');
  });
});
