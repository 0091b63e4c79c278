import { describe, expect, it } from 'vitest';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { roleSet } from './support/role-set.js';
import { workingEngine } from './support/working-engine.js';

/** What statements of the library call without a schema, as traps. */
const TRAPS = [
  'now() returns timestamptz',
  'clock_timestamp() returns timestamptz',
  'jsonb_typeof(jsonb) returns text',
  'octet_length(text) returns integer',
  'jsonb_strip_nulls(jsonb) returns jsonb',
  'json_array_length(json) returns integer',
  'nextval(regclass) returns bigint',
  'hashtext(text) returns integer',
  'pg_notify(text, text) returns void',
  'pg_try_advisory_lock(integer, integer) returns boolean',
  'pg_current_xact_id() returns xid8',
];

/** A schema that comes first in a search path, and traps whoever finds something in it. */
async function evilSchema(database: TestDatabase): Promise<void> {
  await database.query('create schema evil');
  await database.query('grant usage on schema evil to public');
  for (const trap of TRAPS)
    await database.query(
      `create function evil.${trap} language plpgsql as $$ begin raise exception 'trapped as %', current_user; end $$`,
    );
  await database.query(`
    create function evil.same(text, text) returns boolean language plpgsql as $$ begin raise exception 'trapped as %', current_user; end $$;
    create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
    create table evil.jobs (trapped text);
    create table evil.queues (trapped text);
    create table evil.lanes (trapped text)`);
}

describe('a search path that somebody else has made', () => {
  it('does not touch the functions that run with the rights of the owner', async () => {
    const database = await testDatabase();
    const { schema } = new JobTable(database);
    const roles = await roleSet(database);
    await evilSchema(database);
    await database.query(`select ${schema}.set_max_pending('mail', 10)`);
    const producer = await database.client(roles.as('producer'));
    await producer.query('set search_path = evil, pg_temp, pg_catalog');
    await expect(producer.query('select now()')).rejects.toThrow(/trapped as .*producer_login/);
    await producer.query(`select ${schema}.enqueue('mail', '{}', '{"unique": {"key": "a"}, "delayMs": 5}')`);
    await producer.query(
      `select ${schema}.enqueue_batch('[{"queue": "mail"}]', '{"finished": {"queue": "mail"}}')`,
    );
    await producer.query(`select ${schema}.emit('paid')`);
    expect(await new JobTable(database).all()).toHaveLength(2);
  });

  it('is of no use in any such function: each has its own, and PUBLIC may not call it', async () => {
    const database = await testDatabase();
    const { schema } = new JobTable(database);
    const functions = await database.query<{ name: string; settings: string[] | null; everybody: boolean }>(
      `select proname as name, proconfig as settings, has_function_privilege('public', oid, 'execute') as everybody
         from pg_proc where pronamespace = '${schema}'::regnamespace and prosecdef order by 1`,
    );
    expect(functions.map(({ name }) => name)).toEqual([
      'admit', // by the trigger of whoever inserts
      'close_batch',
      'emit',
      'enqueue',
      'enqueue_batch',
      'enqueue_jobs',
      'open_batch',
      'prune',
    ]);
    for (const { name, settings, everybody } of functions) {
      expect(settings).toContain('search_path=pg_catalog, pg_temp');
      expect(everybody).toBe(name === 'admit');
    }
  });

  it('does not lead a worker to tables of the same names', async () => {
    const database = await testDatabase();
    const roles = await roleSet(database);
    await evilSchema(database);
    const { user } = roles.as('worker');
    await database.query(`alter role "${user}" set search_path = pg_catalog, evil`);
    const jobs = new JobTable(database);
    const options = { connection: roles.as('worker'), migrations: 'verify' } as const;
    const { taskmaster } = await workingEngine(database, { mail: () => undefined }, options);
    await taskmaster.publisher.enqueue('mail', {}, { group: 'a' });
    await taskmaster.publisher.enqueue('mail');
    await jobs.empty();
    expect(await database.query('select from evil.jobs union all select from evil.queues')).toEqual([]);
  });
});
