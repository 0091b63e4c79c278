import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';

/** An application that keeps its transaction in a context of its own, as transaction managers of ORMs do. */
const setup = async () => {
  const database = await testDatabase();
  const context = new AsyncLocalStorage<pg.Client>();
  const { pool, publisher } = await openEngine(database, { transaction: () => context.getStore() });
  const jobs = `"${database.schema}".jobs`;
  return {
    context,
    database,
    pool,
    publisher,
    payloads: async () =>
      (await database.query(`select payload from ${jobs} order by id`)).map((row) => row['payload']),
  };
};

describe('the transaction of the option', () => {
  it('is joined by enqueue() and enqueueMany()', async () => {
    const { context, database, publisher, payloads } = await setup();
    const client = await database.client();
    await client.query('begin');
    await context.run(client, async () => {
      await publisher.enqueue('mail', 1);
      await publisher.enqueueMany('mail', [2, 3]);
      await publisher.enqueueMany([{ queue: 'mail', payload: 4 }]);
    });
    expect(await payloads()).toEqual([]);
    await client.query('commit');
    expect(await payloads()).toEqual([1, 2, 3, 4]);
  });

  it('is asked for at each call: outside of it jobs are stored at once', async () => {
    const { context, database, publisher, payloads } = await setup();
    const client = await database.client();
    await client.query('begin');
    await context.run(client, () => publisher.enqueue('mail', 'inside'));
    await publisher.enqueue('mail', 'outside');
    await client.query('rollback');
    expect(await payloads()).toEqual(['outside']);
  });

  it('gives way to a tx that is given', async () => {
    const { context, database, publisher, payloads } = await setup();
    const [ambient, given] = [await database.client(), await database.client()];
    await ambient.query('begin');
    await given.query('begin');
    await context.run(ambient, () => publisher.enqueue('mail', 1, { tx: given }));
    await ambient.query('rollback');
    await given.query('commit');
    expect(await payloads()).toEqual([1]);
  });

  it('gives way to withTransaction', async () => {
    const { context, database, publisher, payloads } = await setup();
    const ambient = await database.client();
    await ambient.query('begin');
    await context.run(ambient, () => publisher.withTransaction(() => publisher.enqueue('mail', 1)));
    await ambient.query('rollback');
    expect(await payloads()).toEqual([1]);
  });
});

describe('withTransaction()', () => {
  it('commits the work and its jobs together, and answers with its value', async () => {
    const { database, publisher, payloads } = await setup();
    await database.query('create table orders (id integer)');
    const answer = await publisher.withTransaction(async (tx) => {
      await tx.query('insert into orders values (1)');
      await publisher.enqueue('mail', 1);
      await publisher.enqueueMany('mail', [2]);
      expect(await payloads()).toEqual([]);
      return 'done';
    });
    expect(answer).toBe('done');
    expect(await payloads()).toEqual([1, 2]);
    expect(await database.query('select id from orders')).toEqual([{ id: 1 }]);
  });

  it('rolls back when the work throws, and rejects with what it threw', async () => {
    const { database, publisher, payloads } = await setup();
    await database.query('create table orders (id integer)');
    const failure = new Error('no');
    const transaction = publisher.withTransaction(async (tx) => {
      await tx.query('insert into orders values (1)');
      await publisher.enqueue('mail', 1);
      throw failure;
    });
    await expect(transaction).rejects.toBe(failure);
    expect(await payloads()).toEqual([]);
    expect(await database.query('select id from orders')).toEqual([]);
  });

  it('rejects when a statement had failed and its error was swallowed: nothing was committed', async () => {
    const { publisher, payloads } = await setup();
    const transaction = publisher.withTransaction(async (tx) => {
      await publisher.enqueue('mail', 1);
      await tx.query('select 1 / 0').catch(() => undefined);
    });
    await expect(transaction).rejects.toMatchObject({ code: 'TM_TRANSACTION_ABORTED' });
    expect(await payloads()).toEqual([]);
  });

  it('goes on after a failed statement that was rolled back to a savepoint', async () => {
    const { publisher, payloads } = await setup();
    await publisher.withTransaction(async (tx) => {
      await publisher.enqueue('mail', 1);
      await tx.query('savepoint s');
      await tx.query('select 1 / 0').catch(() => undefined);
      await tx.query('rollback to s');
      await publisher.enqueue('mail', 2);
    });
    expect(await payloads()).toEqual([1, 2]);
  });

  it('keeps transactions apart that run at once', async () => {
    const { publisher, payloads } = await setup();
    const results = await Promise.allSettled(
      [1, 2, 3, 4, 5].map((n) =>
        publisher.withTransaction(async (tx) => {
          await tx.query('select 1');
          await publisher.enqueue('mail', n);
          if (n % 2 === 0) throw new Error('even');
        }),
      ),
    );
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect((await payloads()).toSorted()).toEqual([1, 3, 5]);
  });

  it('ends with its work: calls after it are on their own', async () => {
    const { publisher, payloads } = await setup();
    await publisher
      .withTransaction(() => publisher.enqueue('mail', 1))
      .then(() => publisher.enqueue('mail', 2));
    await publisher.withTransaction(async () => undefined);
    await publisher.enqueue('mail', 3);
    expect(await payloads()).toEqual([1, 2, 3]);
  });

  it('gives its connection back, also when the work threw', async () => {
    const { pool, publisher } = await setup();
    await publisher.withTransaction(async () => undefined);
    await publisher.withTransaction(() => Promise.reject(new Error('no'))).catch(() => undefined);
    expect({ total: pool.totalCount, idle: pool.idleCount }).toEqual({ total: 1, idle: 1 });
  });

  it('throws a connection away that broke, and says what happened', async () => {
    const { database, pool, publisher } = await setup();
    const transaction = publisher.withTransaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      await database.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await tx.query('select 1');
    });
    await expect(transaction).rejects.toThrow(/terminat|not queryable/);
    expect(pool.totalCount).toBe(0);
    await expect(publisher.enqueue('mail', 1)).resolves.toMatchObject({ queue: 'mail' });
  });
});
