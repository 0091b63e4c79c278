import { describe, expect, it } from 'vitest';
import { testDatabase } from '../support/test-database.js';
import { createOriginalTable } from './support/original-table.js';

const setup = async () => {
  const database = await testDatabase();
  await createOriginalTable(database);
  const jobs = `"${database.schema}".jobs`;
  return {
    database,
    jobs,
    adopt: () => database.query(`select "${database.schema}".adopt('taskmaster_jobs')`),
    expectUntouched: async (count: number) => {
      expect(await database.query(`select relkind from pg_class where relname = 'taskmaster_jobs'`)).toEqual([
        { relkind: 'r' },
      ]);
      expect(await database.query('select from taskmaster_jobs')).toHaveLength(count);
    },
  };
};

describe('adopt() refuses', () => {
  it('a second call, and says why', async () => {
    const { database, jobs, adopt } = await setup();
    await database.query(`insert into taskmaster_jobs (queue_name, payload) values ('mail', '1')`);
    await adopt();
    await expect(adopt()).rejects.toMatchObject({
      code: '42809',
      message: 'taskmaster_jobs is not a table; has it been adopted already?',
    });
    expect(await database.query(`select from ${jobs}`)).toHaveLength(1);
  });

  it('ids that are taken, and changes nothing', async () => {
    const { database, jobs, adopt, expectUntouched } = await setup();
    await database.query(
      `insert into taskmaster_jobs (id, queue_name, payload) values (1, 'mail', '1'), (2, 'mail', '2')`,
    );
    await database.query(`insert into ${jobs} (id, queue_name, payload) values (2, 'other', '0')`);
    await expect(adopt()).rejects.toMatchObject({ code: '23505', constraint: 'jobs_pkey' });
    await expectUntouched(2);
    expect(await database.query(`select queue_name from ${jobs}`)).toEqual([{ queue_name: 'other' }]);
  });

  it('names of queues that the new table has no room for, and changes nothing', async () => {
    const { database, jobs, adopt, expectUntouched } = await setup();
    await database.query(`insert into taskmaster_jobs (queue_name, payload) values ('mail', '1')`);
    await database.query(`alter table taskmaster_jobs disable trigger all`); // which refuses names of 64 bytes and more
    await database.query(`insert into taskmaster_jobs (queue_name, payload) values (repeat('é', 65), '1')`);
    await expect(adopt()).rejects.toMatchObject({ code: '23514', table: 'jobs' });
    await expectUntouched(2);
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('a name that is not there', async () => {
    const { database } = await setup();
    const adoption = database.query(`select "${database.schema}".adopt('no_such_table')`);
    await expect(adoption).rejects.toMatchObject({ code: '42P01' });
  });
});
