import { describe, expect, it } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { behavesAsAnEngine } from './support/behaviour.js';

behavesAsAnEngine({
  name: 'an engine that finds work by polling alone',
  options: () => ({ listen: { enabled: false } }),
});
behavesAsAnEngine({ name: 'an engine in another schema', schema: 'another' });
behavesAsAnEngine({
  name: 'an engine without prepared statements',
  options: () => ({ preparedStatements: false }),
});
behavesAsAnEngine({
  name: 'an engine that heartbeats from a thread',
  options: () => ({ lease: { heartbeat: 'thread' } }),
});

describe('preparedStatements', () => {
  it.each([
    [true, ['enqueue_jobs']],
    [false, []],
  ])('%s: decides whether statements are prepared under a name', async (preparedStatements, expected) => {
    const database = await testDatabase();
    const connection = { ...database.config, max: 1 };
    const { pool, publisher } = await openEngine(database, { connection, preparedStatements });
    await publisher.enqueue('mail');
    const { rows } = await pool.query<{ name: string }>('select name from pg_prepared_statements');
    expect(rows.map(({ name }) => name.replace(tablesOf(database.schema).prefix, ''))).toEqual(expected);
  });
});
