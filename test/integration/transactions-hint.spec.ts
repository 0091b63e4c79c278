import type { PoolClient } from 'pg';
import { describe, expect, it } from 'vitest';
import type { Taskmaster } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { EventLog } from './support/event-log.js';

const setup = async (options = {}) => {
  const database = await testDatabase();
  const taskmaster = await openEngine(database, options);
  const log = new EventLog(taskmaster.events);
  const warnings = () => log.of('engineWarning').values.map(({ message }) => message);
  return { taskmaster, warnings };
};

/** Opens a transaction by hand, on a client of the pool. */
const within = async ({ pool }: Taskmaster, work: (client: PoolClient) => unknown) => {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await work(client);
    await client.query('commit');
  } finally {
    client.release();
  }
};

describe('the hint at a transaction that a job is not part of', () => {
  it('is given once a queue, and the job is stored all the same', async () => {
    const { taskmaster, warnings } = await setup();
    await within(taskmaster, async () => {
      await taskmaster.publisher.enqueue('mail', 1);
      await taskmaster.publisher.enqueue('mail', 2);
      await taskmaster.publisher.enqueue('other', 3);
    });
    expect(warnings()).toEqual([
      expect.stringContaining('queue "mail" was enqueued outside the transaction'),
      expect.stringContaining('queue "other" was enqueued outside the transaction'),
    ]);
    const { rows } = await taskmaster.pool.query('select count(*)::integer as jobs from taskmaster.jobs');
    expect(rows).toEqual([{ jobs: 3 }]);
  });

  it('is given in what the function calls', async () => {
    const { taskmaster, warnings } = await setup();
    const deep = async () => {
      await Promise.resolve();
      await taskmaster.publisher.enqueue('mail', 1);
    };
    await within(taskmaster, () => deep());
    expect(warnings()).toHaveLength(1);
  });

  it('is not given for a job that is part of it, nor before it, nor after it', async () => {
    const { taskmaster, warnings } = await setup();
    const client = await taskmaster.pool.connect();
    await taskmaster.publisher.enqueue('mail', 'before');
    await client.query('begin');
    await taskmaster.publisher.enqueue('mail', 'in it', { tx: client });
    await client.query('commit');
    await taskmaster.publisher.enqueue('mail', 'after');
    client.release();
    await within(taskmaster, () => undefined);
    await taskmaster.publisher.enqueue('mail', 'long after');
    await taskmaster.publisher.withTransaction(() => taskmaster.publisher.enqueue('mail', 'joins'));
    await taskmaster.publisher.enqueue('mail', 'after that');
    expect(warnings()).toEqual([]);
  });

  it('is not given to others who enqueue meanwhile', async () => {
    const { taskmaster, warnings } = await setup();
    const elsewhere = async (turn: Promise<void>) => {
      await turn;
      await taskmaster.publisher.enqueue('mail', 1);
    };
    let go!: () => void;
    const waiting = elsewhere(new Promise((resolve) => (go = resolve)));
    await within(taskmaster, async () => {
      go();
      await waiting;
    });
    expect(warnings()).toEqual([]);
  });

  it('is given for a client that is in no transaction', async () => {
    const { taskmaster, warnings } = await setup();
    const client = await taskmaster.pool.connect();
    await client.query('select 1');
    await taskmaster.publisher.enqueue('mail', 1, { tx: client });
    client.release();
    expect(warnings()).toEqual([expect.stringContaining('a client that is in no transaction')]);
  });

  it('is not given when it is turned off', async () => {
    const { taskmaster, warnings } = await setup({ warnOutsideTransaction: false });
    await within(taskmaster, () => taskmaster.publisher.enqueue('mail', 1));
    expect(warnings()).toEqual([]);
  });
});
