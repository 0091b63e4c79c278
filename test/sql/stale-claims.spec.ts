import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { claimJobs, type ClaimRow } from '../../lib/engine/sql/claim-jobs.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { openLanes } from '../../lib/engine/sql/sweep-jobs.js';
import { statementRunner } from '../integration/support/statement-runner.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';

const CLAIM = { workerId: 1, queues: ['mail'], limits: [10] };
const GATE = 4711;

/**
 * A lane with two jobs, and a claim that has taken its snapshot and waits at a gate, before it looks at anything: as one whose server process
 * is held up at the worst moment.
 */
const setup = async () => {
  const database = await testDatabase();
  const tables = tablesOf(database.schema);
  const [claimer, other] = [await database.client(), await database.client()];
  const run = statementRunner(other, database.schema);
  await run(openLanes, { queues: ['mail'] });
  const insert = `insert into ${tables.jobs} (queue_name, payload) values ('mail', '1'), ('mail', '2') returning id`;
  const [first, second] = (await other.query<{ id: string }>(insert)).rows.map((row) => row.id);
  await other.query(`select pg_advisory_lock(${GATE})`);
  const text = claimJobs
    .text(tables)
    .replace('select * from unnest', `select w.* from pg_advisory_lock_shared(${GATE}) as gate, unnest`);
  expect(text).toContain('as gate');
  const claim: Promise<pg.QueryResult<ClaimRow>> = claimer.query({ text, values: claimJobs.values(CLAIM) });
  await eventually(async () => {
    const { rowCount } = await other.query(`select from pg_locks where objid = ${GATE} and not granted`);
    return rowCount === 1;
  });
  const pass = async () => {
    await other.query(`select pg_advisory_unlock(${GATE})`);
    return (await claim).rows;
  };
  const idsIn = (rows: readonly ClaimRow[]) =>
    rows.flatMap((row) => (row.jobs === null ? [] : (JSON.parse(row.jobs) as [string][]).map(([id]) => id)));
  return { first: first!, second: second!, idsIn, other, pass, run, tables };
};

describe('a claim with an old snapshot', () => {
  it('takes no job that has been deleted since, and comes back for the others', async () => {
    const { first, second, idsIn, other, pass, run, tables } = await setup();
    expect((await other.query(`select ${tables.schema}.remove($1) as done`, [first])).rows).toEqual([
      { done: true },
    ]);
    const rows = await pass();
    expect(idsIn(rows)).toEqual([]);
    expect(rows[0]!.skipped).toBe(1);
    expect(idsIn(await run(claimJobs, CLAIM))).toEqual([second]);
  });

  it('takes no dead letter that has been moved back since', async () => {
    const { first, second, idsIn, other, pass, tables } = await setup();
    await other.query(
      `update ${tables.jobs} set meta = '{"deadLetter": {"queue": "source"}}' where id = $1`,
      [first],
    );
    await other.query(`select ${tables.schema}.redrive(array[$1::bigint], null)`, [first]);
    expect(idsIn(await pass())).toEqual([]);
    const { rows } = await other.query(`select id, queue_name from ${tables.jobs} order by id`);
    expect(rows).toMatchObject([{ id: second, queue_name: 'mail' }, { queue_name: 'source' }]);
  });

  it('takes no job that has been cancelled since', async () => {
    const { first, second, idsIn, other, pass, run, tables } = await setup();
    const { rows } = await other.query(`select ${tables.schema}.cancel($1) as answer`, [first]);
    expect(rows).toEqual([{ answer: 'cancelled' }]);
    expect(idsIn(await pass())).toEqual([]);
    expect(idsIn(await run(claimJobs, CLAIM))).toEqual([second]);
  });

  it('takes no job that has moved to another lane since, because it has waited for long', async () => {
    const { idsIn, other, pass, tables } = await setup();
    await other.query(`insert into ${tables.queues} (name, ageing_ms) values ('mail', 1000)`);
    await other.query(`insert into ${tables.lanes} (queue_name, priority) values ('mail', -1)`);
    await other.query(`update ${tables.jobs} set ready_at = now() - interval '1 minute'`);
    await other.query(`select ${tables.schema}.age_jobs(100)`);
    const { rows } = await other.query(`select priority from ${tables.jobs}`);
    expect(rows).toEqual([{ priority: -1 }, { priority: -1 }]);
    expect(idsIn(await pass())).toEqual([]);
  });

  it('takes nothing of a queue that has got a limit since', async () => {
    const { idsIn, other, pass, tables } = await setup();
    await other.query(`insert into ${tables.queues} (name, max_running) values ('mail', 1)`);
    expect(idsIn(await pass())).toEqual([]);
  });

  it('takes all there is when nothing has been taken away', async () => {
    const { first, second, idsIn, other, pass, tables } = await setup();
    await other.query(`insert into ${tables.jobs} (queue_name, payload) values ('mail', '3')`);
    expect(idsIn(await pass())).toEqual([first, second]);
  });
});
