import { describe, expect, it } from 'vitest';
import { copyIn } from './support/copy-in.js';
import { idleWorker, type IdleWorker } from './support/idle-worker.js';

/** How other programs put jobs in, with n = 1 as payload. */
const INSERTS: Readonly<Record<string, (worker: IdleWorker) => Promise<unknown>>> = {
  'an insert': ({ database, jobs }) =>
    database.query(`insert into ${jobs} (queue_name, payload) values ('mail', '{"n": 1}')`),
  'an insert of a query': ({ database, jobs }) =>
    database.query(
      `insert into ${jobs} (queue_name, payload) select 'mail', jsonb_build_object('n', n) from generate_series(1, 1) as n`,
    ),
  'a transaction': ({ database, jobs }) =>
    database.query(`begin; insert into ${jobs} (queue_name, payload) values ('mail', '{"n": 1}'); commit`),
  COPY: async ({ database, jobs }) =>
    copyIn(await database.client(), `copy ${jobs} (queue_name, payload) from stdin`, 'mail\t{"n": 1}\n'),
  'COPY with CSV': async ({ database, jobs }) =>
    copyIn(
      await database.client(),
      `copy ${jobs} (queue_name, payload) from stdin (format csv)`,
      'mail,"{""n"": 1}"\n',
    ),
  'the function enqueue()': ({ database, schema }) =>
    database.query(`select ${schema}.enqueue('mail', '{"n": 1}')`),
};

describe.each(Object.entries(INSERTS))('a job put in by %s', (_name, insert) => {
  it('wakes an idle worker and runs at once', async () => {
    const worker = await idleWorker();
    await insert(worker);
    expect(await worker.bells.count(1)).toEqual(['mail']);
    const [job] = await worker.handled.count(1);
    expect(job).toMatchObject({
      queue: 'mail',
      payload: { n: 1 },
      runCount: 1,
      priority: 0,
      tags: [],
      headers: {},
    });
  });

  it('is found by polling alone', async () => {
    const worker = await idleWorker({ listen: { enabled: false } });
    await insert(worker);
    expect((await worker.handled.count(1))[0]?.payload).toEqual({ n: 1 });
    expect(worker.bells.values).toEqual([]);
  });
});

describe('the bell', () => {
  it('rings once for a statement, however many jobs it puts in', async () => {
    const { database, bells, handled, jobs } = await idleWorker();
    await database.query(
      `insert into ${jobs} (queue_name, payload) select 'mail', '1' from generate_series(1, 500)`,
    );
    await handled.count(500);
    await bells.count(1); // it may come after the job: a worker that is awake already looks by itself
    expect(bells.values).toEqual(['mail']);
  });

  it('stays silent for queues that nobody waits for', async () => {
    const { database, bells, handled, jobs } = await idleWorker();
    await database.query(`insert into ${jobs} (queue_name, payload) values ('other', '1')`);
    await database.query(`insert into ${jobs} (queue_name, payload) values ('mail', '1')`);
    await handled.count(1);
    await bells.count(1);
    expect(bells.values).toEqual(['mail']);
  });

  it('rings for scheduled jobs too, which run when they are due', async () => {
    const { database, bells, handled, jobs } = await idleWorker();
    await database.query(
      `insert into ${jobs} (queue_name, payload, run_at) values ('mail', '1', now() + interval '50 milliseconds')`,
    );
    const [job] = await handled.count(1);
    expect((await bells.count(1))[0]).toBe('');
    const [row] = await database.query<{ early: boolean }>('select now() < $1::timestamptz as early', [
      job?.runAt,
    ]);
    expect(row).toEqual({ early: false });
  });

  it('leaves a rolled back job silent', async () => {
    const { database, bells, handled, jobs } = await idleWorker();
    await database.query(
      `begin; insert into ${jobs} (queue_name, payload) values ('mail', '"rolled back"'); rollback`,
    );
    await database.query(`insert into ${jobs} (queue_name, payload) values ('mail', '"committed"')`);
    expect((await handled.count(1)).map((job) => job.payload)).toEqual(['committed']);
    await bells.count(1);
    expect(bells.values).toEqual(['mail']);
  });
});
