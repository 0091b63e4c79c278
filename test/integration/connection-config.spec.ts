import { describe, expect, it } from 'vitest';
import type { ConnectionOption, Taskmaster } from '../../lib/engine/index.js';
import { adminConnection } from '../support/admin-connection.js';
import { engine, openEngine } from '../support/engine.js';
import { nextEvent } from '../support/next-event.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { testRole } from '../support/test-role.js';

/** What the server knows of a connection of the pool. */
async function session({ pool }: Taskmaster): Promise<Record<string, unknown>> {
  const { rows } = await pool.query(
    `select current_user::text as role, current_database()::text as database, current_setting('application_name') as application,
            current_setting('statement_timeout') as timeout`,
  );
  return rows[0] as Record<string, unknown>;
}

const FORMS: Readonly<Record<string, (database: TestDatabase) => ConnectionOption>> = {
  'a URL': ({ url }) => url,
  'a URL of the scheme postgresql': ({ url }) => url.replace('postgres:', 'postgresql:'),
  'a configuration': ({ config }) => config,
  'a configuration with a URL': ({ url }) => ({ connectionString: url }),
};

describe.each(Object.entries(FORMS))('connection: %s', (_form, connectionOf) => {
  it('leads to its database, under a name by which it can be told', async () => {
    const database = await testDatabase();
    const taskmaster = await openEngine(database, { connection: connectionOf(database) });
    expect(await session(taskmaster)).toMatchObject({
      role: database.config.user,
      database: database.name,
      application: 'taskmaster',
    });
  });
});

describe('connection: a URL', () => {
  it('may carry settings', async () => {
    const database = await testDatabase();
    const connection = `${database.url}?application_name=shop&statement_timeout=12345`;
    const taskmaster = await openEngine(database, { connection });
    expect(await session(taskmaster)).toMatchObject({ application: 'shop', timeout: '12345ms' });
  });

  it('may carry a password that has to be escaped', async () => {
    const database = await testDatabase();
    const role = await testRole(database);
    const password = 'p@ss:w/rd?#%&';
    await (await adminConnection()).query(`alter role "${role.name}" password '${password}'`);
    const { host, port } = database.config;
    const connection = `postgres://${role.name}:${encodeURIComponent(password)}@${host}:${port}/${database.name}`;
    const taskmaster = await openEngine(database, { connection, migrations: 'off' });
    expect(await session(taskmaster)).toMatchObject({ role: role.name });
  });
});

describe('connection: a configuration', () => {
  it('keeps what pg knows of it', async () => {
    const database = await testDatabase();
    const connection = { ...database.config, application_name: 'shop', statement_timeout: 12_345, max: 3 };
    const taskmaster = await openEngine(database, { connection });
    expect(await session(taskmaster)).toMatchObject({ application: 'shop', timeout: '12345ms' });
    expect(taskmaster.pool.options.max).toBe(3);
  });

  it('may give the password by a function', async () => {
    const database = await testDatabase();
    const { password } = database.config;
    const connection = { ...database.config, password: () => Promise.resolve(password as string) };
    const taskmaster = engine(database, { connection });
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    await taskmaster.start();
    const completed = nextEvent(taskmaster.events, 'completed');
    await taskmaster.publisher.enqueue('mail');
    await completed;
  });
});

describe('every connection of an engine', () => {
  it('goes where the option says, and is gone when the engine is closed', async () => {
    const database = await testDatabase();
    const connection = { ...database.config, application_name: 'shop' };
    const taskmaster = engine(database, { connection, lease: { heartbeat: 'thread', heartbeatMs: 100 } });
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    const listening = nextEvent(taskmaster.events, 'listenerRestored');
    await taskmaster.start();
    await listening;
    await taskmaster.publisher.enqueue('mail');
    const others = `select distinct application_name as name from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
    expect(await database.query(others)).toEqual([{ name: 'shop' }]);
    await taskmaster.close();
    expect(taskmaster.pool.ended).toBe(true);
  });
});
