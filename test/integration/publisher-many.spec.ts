import { describe, expect, it } from 'vitest';
import { defineQueue, type StandardSchema } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const { events, publisher } = await openEngine(database);
  const enqueued: string[] = [];
  events.subscribe((event) => event.type === 'enqueued' && enqueued.push(event.jobId));
  return { database, enqueued, publisher, jobs: `"${database.schema}".jobs` };
};

/** More than go into one statement. */
const MANY = 2_500;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

async function countOf(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ count: string }>(`select count(*) from "${database.schema}".jobs`);
  return Number(row?.count);
}

describe('enqueueMany()', () => {
  it('stores 100,000 jobs in one call, with their ids in the order of the payloads', async () => {
    const { database, publisher, jobs } = await setup();
    const enqueued = await publisher.enqueueMany('mail', numbers(100_000));
    expect(enqueued).toHaveLength(100_000);
    const rows = await database.query<{ id: string; n: number }>(
      `select id, (payload ->> 'n')::integer as n from ${jobs} order by n`,
    );
    expect(rows.map((row) => row.id)).toEqual(enqueued.map((job) => job.id));
    expect(await database.query(`select count(distinct xmin::text) from ${jobs}`)).toEqual([{ count: '1' }]);
  });

  it('answers an empty list for no payloads', async () => {
    const { database, publisher } = await setup();
    expect(await publisher.enqueueMany('mail', [])).toEqual([]);
    expect(await publisher.enqueueMany([])).toEqual([]);
    expect(await countOf(database)).toBe(0);
  });

  it('gives every job the options of the call', async () => {
    const { database, publisher, jobs } = await setup();
    await publisher.enqueueMany('mail', numbers(3), { priority: 7, delayMs: 60_000 });
    const rows = await database.query(
      `select distinct priority, run_at > now() as later, count(*) over () from ${jobs}`,
    );
    expect(rows).toEqual([{ priority: 7, later: true, count: '3' }]);
  });

  it('takes jobs of several queues, each with its own options', async () => {
    const { database, publisher, jobs } = await setup();
    const enqueued = await publisher.enqueueMany([
      { queue: 'mail', payload: { n: 1 }, priority: 5 },
      { queue: defineQueue('sms'), payload: { n: 2 }, delayMs: 1_000 },
      { queue: 'mail' },
    ]);
    expect(enqueued.map((job) => job.queue)).toEqual(['mail', 'sms', 'mail']);
    const rows = await database.query(
      `select id, queue_name, payload, priority, run_at is not null as later from ${jobs} order by id`,
    );
    expect(rows).toEqual([
      { id: enqueued[0]?.id, queue_name: 'mail', payload: { n: 1 }, priority: 5, later: false },
      { id: enqueued[1]?.id, queue_name: 'sms', payload: { n: 2 }, priority: 0, later: true },
      { id: enqueued[2]?.id, queue_name: 'mail', payload: {}, priority: 0, later: false },
    ]);
  });

  it('keeps the order of ids in several queues and statements', async () => {
    const { database, publisher, jobs } = await setup();
    const enqueued = await publisher.enqueueMany(
      numbers(MANY).map(({ n }) => ({ queue: `q${n % 3}`, payload: n })),
    );
    const rows = await database.query<{ id: string }>(
      `select id from ${jobs} order by (payload #>> '{}')::integer`,
    );
    expect(rows.map((row) => row.id)).toEqual(enqueued.map((job) => job.id));
  });

  it.each([3, MANY])('stores none of %i jobs when one of them is bad, and tells of none', async (count) => {
    const { database, enqueued, publisher } = await setup();
    const payloads = [...numbers(count - 1), { n: 1n }];
    await expect(publisher.enqueueMany('mail', payloads)).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: 'payload.n',
    });
    expect(await countOf(database)).toBe(0);
    expect(enqueued).toHaveLength(0);
  });

  it.each([3, MANY])(
    'stores none of %i jobs when the server refuses one of them, and tells of none',
    async (count) => {
      const { database, enqueued, publisher, jobs } = await setup();
      await database.query(
        `alter table ${jobs} add constraint no_last check (payload ->> 'n' <> '${count - 1}')`,
      );
      await expect(publisher.enqueueMany('mail', numbers(count))).rejects.toMatchObject({
        code: 'TM_DATABASE',
        sqlState: '23514',
      });
      expect(await countOf(database)).toBe(0);
      expect(enqueued).toHaveLength(0);
    },
  );

  it('tells of every job it stored', async () => {
    const { enqueued, publisher } = await setup();
    const jobs = await publisher.enqueueMany('mail', numbers(MANY));
    expect(enqueued).toEqual(jobs.map((job) => job.id));
  });

  it('reads every payload once', async () => {
    const { publisher } = await setup();
    let read = 0;
    const payloads = numbers(MANY).map(({ n }) => ({ toJSON: () => ((read += 1), { n }) }));
    await publisher.enqueueMany('mail', payloads);
    expect(read).toBe(MANY);
  });

  it('lets through what a schema throws, and stores nothing', async () => {
    const { database, publisher } = await setup();
    const failure = new Error('the schema is broken');
    const schema: StandardSchema<{ n: number }> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if ((value as { n: number }).n === MANY - 1) throw failure;
          return { value: value as { n: number } };
        },
      },
    };
    const Mail = defineQueue('mail', { schema });
    await expect(publisher.enqueueMany(Mail, numbers(MANY))).rejects.toBe(failure);
    expect(await countOf(database)).toBe(0);
  });

  it('refuses what is no list', async () => {
    const { publisher } = await setup();
    await expect(publisher.enqueueMany('mail', { n: 1 } as never)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
    });
  });
});
