import type pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SqlExecutor } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** What is given as `tx`, each on a connection of its own, with the client that controls the transaction. */
const EXECUTORS: Readonly<Record<string, (client: pg.Client) => SqlExecutor>> = {
  'a client': (client) => client,
  'an executor that answers with an array, as that of TypeORM': (client) => ({
    query: async (text, values) => (await client.query(text, values)).rows,
  }),
  'an executor whose ids are numbers, or bigints': (client) => ({
    query: async (text, values) =>
      (await client.query(text, values)).rows.map((row) => ({ id: BigInt(row.id) })),
  }),
};

const setup = async () => {
  const database = await testDatabase();
  const { publisher } = await openEngine(database);
  return { database, publisher, jobs: `"${database.schema}".jobs` };
};

const payloads = async (database: TestDatabase, jobs: string) =>
  (await database.query(`select payload from ${jobs} order by id`)).map((row) => row['payload']);

describe.each(Object.entries(EXECUTORS))('enqueue() with %s as tx', (_name, executorOf) => {
  it('stores the job when the transaction commits, and not before', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    await client.query('begin');
    const job = await publisher.enqueue('mail', 1, { tx: executorOf(client) });
    expect(job).toEqual({ id: '1', queue: 'mail', deduplicated: false });
    expect(await payloads(database, jobs)).toEqual([]);
    await client.query('commit');
    expect(await payloads(database, jobs)).toEqual([1]);
  });

  it('stores nothing when it rolls back', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    await client.query('begin');
    await publisher.enqueue('mail', 1, { tx: executorOf(client) });
    await publisher.enqueueMany('mail', [2, 3], { tx: executorOf(client) });
    await client.query('rollback');
    expect(await payloads(database, jobs)).toEqual([]);
  });

  it('goes with its savepoint', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    const tx = executorOf(client);
    await client.query('begin');
    await publisher.enqueue('mail', 'before', { tx });
    await client.query('savepoint s');
    await publisher.enqueue('mail', 'inside', { tx });
    await client.query('rollback to s');
    await publisher.enqueueMany([{ queue: 'mail', payload: 'after' }], { tx });
    await client.query('commit');
    expect(await payloads(database, jobs)).toEqual(['before', 'after']);
  });

  it('stores many jobs, in several statements, with ids in input order', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    await client.query('begin');
    const many = Array.from({ length: 1_500 }, (_, n) => n);
    const enqueued = await publisher.enqueueMany('mail', many, { tx: executorOf(client) });
    await client.query('commit');
    const rows = await database.query<{ id: string }>(
      `select id from ${jobs} order by (payload #>> '{}')::integer`,
    );
    expect(rows.map((row) => row.id)).toEqual(enqueued.map((job) => job.id));
  });
});

describe('enqueue() in a transaction', () => {
  it('works on a client of a pool', async () => {
    const { database, publisher, jobs } = await setup();
    const { pool } = await openEngine(database);
    const client = await pool.connect();
    await client.query('begin');
    await publisher.enqueue('mail', 1, { tx: client });
    await client.query('commit');
    client.release();
    expect(await payloads(database, jobs)).toEqual([1]);
  });

  it('that has failed already says so, and stores nothing', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    await client.query('begin');
    await client.query('select 1 / 0').catch(() => undefined);
    await expect(publisher.enqueue('mail', 1, { tx: client })).rejects.toMatchObject({
      code: 'TM_DATABASE',
      sqlState: '25P02',
    });
    await client.query('commit');
    expect(await payloads(database, jobs)).toEqual([]);
  });

  it('leaves the transaction usable when the job itself is bad', async () => {
    const { database, publisher, jobs } = await setup();
    const client = await database.client();
    await client.query('begin');
    await expect(publisher.enqueue('mail', NaN, { tx: client })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
    });
    await publisher.enqueue('mail', 1, { tx: client });
    await client.query('commit');
    expect(await payloads(database, jobs)).toEqual([1]);
  });

  it('never commits or rolls back the transaction', async () => {
    const { database, publisher } = await setup();
    const client = await database.client();
    await client.query('begin');
    const before = await client.query('select pg_current_xact_id()::text as xid');
    await publisher.enqueue('mail', 1, { tx: client });
    await publisher.enqueueMany('mail', Array<number>(1_500).fill(1), { tx: client });
    const after = await client.query('select pg_current_xact_id()::text as xid');
    expect(after.rows).toEqual(before.rows);
  });

  it('refuses what cannot run a query', async () => {
    const { publisher } = await setup();
    await expect(publisher.enqueue('mail', 1, { tx: {} as SqlExecutor })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });

  it('is run by an idle worker once it is committed, and never before', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    const handled = new SignalPoint<unknown>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      handle: (payload: unknown) => handled.signal(payload),
    });
    await taskmaster.start();
    const client = await database.client();
    onTestFinished(() => client.query('rollback').then(() => undefined));
    await client.query('begin');
    await taskmaster.publisher.enqueue('mail', 'uncommitted', { tx: client });
    await taskmaster.publisher.enqueue('mail', 'other');
    expect(await handled.count(1)).toEqual(['other']);
    await client.query('commit');
    expect(await handled.count(2)).toEqual(['other', 'uncommitted']);
  });
});
