import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const { pool, publisher } = await openEngine(database);
  return { database, pool, publisher, jobs: `"${database.schema}".jobs` };
};

const numbers = Array.from({ length: 500 }, (_, n) => n);

describe('calls of enqueue() at once', () => {
  it('share transactions', async () => {
    const { database, publisher, jobs } = await setup();
    await Promise.all(numbers.map((n) => publisher.enqueue('mail', n)));
    const [row] = await database.query<{ transactions: number }>(
      `select count(distinct xmin::text)::integer as transactions from ${jobs}`,
    );
    expect(row?.transactions).toBeLessThan(5);
  });

  it('each get the id of their own job', async () => {
    const { database, publisher, jobs } = await setup();
    const enqueued = await Promise.all(numbers.map((n) => publisher.enqueue(`q${n % 7}`, n)));
    const rows = await database.query<{ id: string; queue_name: string }>(
      `select id, queue_name from ${jobs} order by (payload #>> '{}')::integer`,
    );
    expect(rows).toEqual(enqueued.map(({ id, queue }) => ({ id, queue_name: queue })));
  });

  it('are committed when they resolve', async () => {
    const { pool, publisher, jobs } = await setup();
    const seen = await Promise.all(
      numbers.slice(0, 20).map(async (n) => {
        const { id } = await publisher.enqueue('mail', n);
        return (await pool.query(`select from ${jobs} where id = $1`, [id])).rowCount;
      }),
    );
    expect(seen).toEqual(Array(20).fill(1));
  });

  it('fail alone when their own payload is bad', async () => {
    const { database, publisher, jobs } = await setup();
    const results = await Promise.allSettled([
      publisher.enqueue('mail', 1),
      publisher.enqueue('mail', { not: undefined }),
      publisher.enqueue('', 3),
      publisher.enqueue('mail', 4, { priority: 1.5 }),
      publisher.enqueue('mail', 5),
    ]);
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'stored'));
    expect(codes).toEqual([
      'stored',
      'TM_INVALID_PAYLOAD',
      'TM_INVALID_QUEUE_NAME',
      'TM_INVALID_OPTIONS',
      'stored',
    ]);
    expect(await database.query(`select payload from ${jobs} order by id`)).toEqual([
      { payload: 1 },
      { payload: 5 },
    ]);
  });
});

/** Ways in which the owner of a database refuses a job: both look at what only the server knows. */
const REFUSALS = {
  'a constraint': (jobs: string) => `alter table ${jobs} add constraint unlucky check (payload <> '13')`,
  'a trigger that raises an exception': (jobs: string) => `
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.payload = '13' then raise exception 'unlucky'; end if;
      return new;
    end $$;
    create trigger refuse before insert on ${jobs} for each row execute function refuse()`,
  'a unique index': (jobs: string) => `
    insert into ${jobs} (queue_name, payload) values ('old', '13');
    create unique index on ${jobs} (payload)`,
};

describe.each(Object.entries(REFUSALS))('a job that %s refuses', (_what, refuse) => {
  it('fails alone: its neighbours are stored', async () => {
    const { database, publisher, jobs } = await setup();
    await database.query(refuse(jobs));
    const calls = numbers.slice(0, 50).map((n) => publisher.enqueue('mail', n));
    const results = await Promise.allSettled(calls);
    const refused = results.flatMap((result, n) =>
      result.status === 'rejected' ? [[n, result.reason.code]] : [],
    );
    expect(refused).toEqual([[13, 'TM_DATABASE']]);
    const rows = await database.query(
      `select payload from ${jobs} where queue_name = 'mail' and payload <> '13'`,
    );
    expect(rows).toHaveLength(49);
  });
});
