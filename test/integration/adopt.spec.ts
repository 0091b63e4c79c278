import { describe, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { createOriginalTable } from './support/original-table.js';

/** Four jobs of the original: three wait, in an order that is not that of their insertion, and one was rejected. */
const JOBS = `
  insert into taskmaster_jobs (id, queue_name, payload, run_count, created_at) values
    (30, 'mail', '{"n": 3}', 0, '2020-01-03'), (10, 'mail', '{"n": 1}', 0, '2020-01-01'),
    (20, 'mail', '{"n": 2}', 0, '2020-01-02'), (15, 'mail', '{"n": 9}', 1, '2020-01-05');
  select setval('taskmaster_jobs_id_seq', 30)`;

const setup = async (jobs = JOBS) => {
  const database = await testDatabase();
  await createOriginalTable(database);
  await database.query(jobs);
  return { database, adopt: (source = 'taskmaster_jobs') => adopt(database, source) };
};

async function adopt(database: TestDatabase, source: string): Promise<string | undefined> {
  const [row] = await database.query<{ adopted: string }>(
    `select "${database.schema}".adopt($1::text::regclass) as adopted`,
    [source],
  );
  return row?.adopted;
}

const states = (database: TestDatabase) =>
  database.query(
    `select id, queue_name, payload, run_count, created_at, state from "${database.schema}".job_states order by id`,
  );

/** An engine whose handler tells which jobs it got. */
function consumer(database: TestDatabase) {
  const taskmaster = engine(database);
  const got = new SignalPoint<{ id: string; payload: unknown }>();
  taskmaster.register({
    queue: 'mail',
    label: 'mail',
    options: { concurrency: 1 },
    handle: (payload: unknown, job) => got.signal({ id: job.id, payload }),
  });
  return { taskmaster, got };
}

describe('adopt()', () => {
  it('keeps the ids, payloads, counts and dates: waiting jobs are ready, rejected ones have failed', async () => {
    const { database, adopt } = await setup();
    expect(await adopt()).toBe('4');
    expect(await states(database)).toEqual([
      {
        id: '10',
        queue_name: 'mail',
        payload: { n: 1 },
        run_count: 0,
        created_at: expect.any(Date),
        state: 'ready',
      },
      {
        id: '15',
        queue_name: 'mail',
        payload: { n: 9 },
        run_count: 1,
        created_at: expect.any(Date),
        state: 'failed',
      },
      {
        id: '20',
        queue_name: 'mail',
        payload: { n: 2 },
        run_count: 0,
        created_at: expect.any(Date),
        state: 'ready',
      },
      {
        id: '30',
        queue_name: 'mail',
        payload: { n: 3 },
        run_count: 0,
        created_at: expect.any(Date),
        state: 'ready',
      },
    ]);
    const years = await database.query(
      `select distinct extract(year from created_at)::integer as year from "${database.schema}".jobs`,
    );
    expect(years).toEqual([{ year: 2020 }]);
  });

  it('lets waiting jobs run in the order of their ids', async () => {
    const { database, adopt } = await setup();
    await adopt();
    const { taskmaster, got } = consumer(database);
    await taskmaster.start();
    expect((await got.count(3)).map((job) => job.id)).toEqual(['10', '20', '30']);
  });

  it('lets a rejected job be requeued by run_count = 0, under either name', async () => {
    const { database, adopt } = await setup();
    await adopt();
    const { taskmaster, got } = consumer(database);
    await taskmaster.start();
    await got.count(3);
    await database.query('update taskmaster_jobs set run_count = 0 where id = 15');
    expect((await got.count(4))[3]).toEqual({ id: '15', payload: { n: 9 } });
  });

  it('wakes a worker that is idle already', async () => {
    const { database, adopt } = await setup();
    const { taskmaster, got } = consumer(database);
    const listening = nextEvent(taskmaster.events, 'listenerRestored');
    await taskmaster.start();
    await listening;
    await adopt();
    expect((await got.count(3)).map((job) => job.id)).toEqual(['10', '20', '30']);
  });

  it('leaves the old name usable: inserts run at once, and get ids of their own', async () => {
    const { database, adopt } = await setup();
    await adopt();
    const { taskmaster, got } = consumer(database);
    await taskmaster.start();
    await got.count(3);
    const inserted = await database.query<{ id: string }>(
      `insert into taskmaster_jobs (queue_name, payload) values ('mail', '{"n": 4}') returning id`,
    );
    expect((await got.count(4))[3]).toEqual({ id: inserted[0]?.id, payload: { n: 4 } });
    expect(Number(inserted[0]?.id)).toBeGreaterThan(30);
  });

  it('keeps the old table under another name', async () => {
    const { database, adopt } = await setup();
    await adopt();
    const rows = await database.query('select id from taskmaster_jobs_before_adopt order by id');
    expect(rows.map((row) => row['id'])).toEqual(['10', '15', '20', '30']);
  });

  it('takes an empty table', async () => {
    const { database, adopt } = await setup('select 1');
    expect(await adopt()).toBe('0');
    await database.query(`insert into taskmaster_jobs (queue_name, payload) values ('mail', '1')`);
    expect(await states(database)).toMatchObject([{ queue_name: 'mail', state: 'ready' }]);
  });

  it('takes a table of any name and schema', async () => {
    const { database, adopt } = await setup('select 1');
    await database.query(`create schema "Old Things"`);
    await database.query(`create table "Old Things"."My Jobs" (like taskmaster_jobs including all)`);
    await database.query(
      `insert into "Old Things"."My Jobs" (id, queue_name, payload) values (7, 'mail', '{}')`,
    );
    expect(await adopt('"Old Things"."My Jobs"')).toBe('1');
    expect(await database.query(`select id from "Old Things"."My Jobs"`)).toEqual([{ id: '7' }]);
  });

  it('reads missing values as a job without data, made now, that never ran', async () => {
    const { database, adopt } = await setup(`
      alter table taskmaster_jobs alter payload drop not null;
      insert into taskmaster_jobs (id, queue_name, payload, run_count, created_at) values (1, 'mail', null, null, null), (2, 'mail', 'null', 0, null)`);
    await adopt();
    expect(await states(database)).toEqual([
      {
        id: '1',
        queue_name: 'mail',
        payload: {},
        run_count: 0,
        created_at: expect.any(Date),
        state: 'ready',
      },
      {
        id: '2',
        queue_name: 'mail',
        payload: null,
        run_count: 0,
        created_at: expect.any(Date),
        state: 'ready',
      },
    ]);
  });

  it('never gives an id again that a job of the new table has had', async () => {
    const { database, adopt } = await setup();
    const { jobs } = { jobs: `"${database.schema}".jobs` };
    await database.query(
      `insert into ${jobs} (queue_name, payload) select 'other', '1' from generate_series(1, 100)`,
    );
    await database.query(`delete from ${jobs}`);
    await adopt();
    const [row] = await database.query<{ id: string }>(
      `insert into taskmaster_jobs (queue_name, payload) values ('mail', '1') returning id`,
    );
    expect(Number(row?.id)).toBeGreaterThan(100);
  });
});
