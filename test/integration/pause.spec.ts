import { describe, expect, it } from 'vitest';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

describe('a queue that is paused', () => {
  const paused = async (call = `pause('mail', null, 'the mail server moves', 'ops')`) => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const handlers = { mail: () => closed.pass(), other: () => undefined };
    const engines = await Promise.all([1, 2].map(() => workingEngine(database, handlers)));
    await jobs.insert('mail');
    await closed.reached(1);
    await database.query(`select ${jobs.schema}.${call}`);
    const completed = (count: number) =>
      expect
        .poll(() => engines.flatMap(({ log }) => log.of('completed').values).length, { timeout: 10_000 })
        .toBe(count);
    return { database, jobs, closed, engines, completed };
  };

  it('starts nothing in any process, and what runs goes on; other queues too', async () => {
    const { database, jobs, closed, engines, completed } = await paused();
    for (const { log } of engines) expect(await log.of('paused').count(1)).toMatchObject([{ queue: 'mail' }]);
    await jobs.insertMany('mail', 3);
    await jobs.insert('mail', { group_key: 'a' });
    await jobs.insertMany('other', 3);
    await completed(3);
    closed.open();
    await completed(4);
    expect((await jobs.all()).map((job) => job.state)).toEqual(['ready', 'ready', 'ready', 'ready']);
    const [row] = await database.query(
      `select pause_reason, paused_by from ${jobs.schema}.queues where name = 'mail'`,
    );
    expect(row).toEqual({ pause_reason: 'the mail server moves', paused_by: 'ops' });
  });

  it('goes on when it is resumed, at once', async () => {
    const { database, jobs, closed, engines } = await paused();
    closed.open();
    await jobs.insertMany('mail', 3);
    await database.query(`select ${jobs.schema}.resume('mail')`);
    for (const { log } of engines)
      expect(await log.of('resumed').count(1)).toMatchObject([{ queue: 'mail' }]);
    await jobs.empty();
  });

  it('goes on when its time is over', async () => {
    const { jobs, closed } = await paused(`pause('mail', now() + interval '500 milliseconds')`);
    closed.open();
    await jobs.insertMany('mail', 3);
    await jobs.empty();
  });
});
