import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { TaskmasterOptions } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { behavesAsAnEngine } from './support/behaviour.js';
import type { Publish, World } from './support/variant.js';

/** A pool of the application. It ends it itself, which fails when somebody has ended it before. */
function borrowedPool({ config }: TestDatabase): pg.Pool {
  const pool = new pg.Pool(config);
  onTestFinished(() => pool.end());
  return pool;
}

const lendingPool = (database: TestDatabase): Partial<TaskmasterOptions> => ({
  connection: { pool: borrowedPool(database) },
});

/** Jobs are put in by transactions of the application. */
function inTransactions({ database, taskmaster }: Pick<World, 'database' | 'taskmaster'>): Publish {
  return async (queue, payload, options) => {
    const client = await database.client();
    await client.query('begin');
    const job = await taskmaster.publisher.enqueue(queue, payload, { ...options, tx: client });
    await client.query('commit');
    return job;
  };
}

behavesAsAnEngine({ name: 'an engine with a pool of its own' });
behavesAsAnEngine({ name: 'an engine with a URL', options: ({ url }) => ({ connection: url }) });
behavesAsAnEngine({ name: 'an engine with a borrowed pool', options: lendingPool });
behavesAsAnEngine({
  name: 'an engine that is used in transactions of the application',
  publish: inTransactions,
});

describe('a borrowed pool', () => {
  it('is used, and outlives the engine', async () => {
    const database = await testDatabase();
    const pool = borrowedPool(database);
    const taskmaster = await openEngine(database, { connection: { pool } });
    expect(taskmaster.pool).toBe(pool);
    await taskmaster.publisher.enqueue('mail');
    expect(pool.totalCount).toBe(1);
    await taskmaster.close();
    expect(pool.ended).toBe(false);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});
