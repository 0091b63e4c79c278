import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { registerWorker } from '../../lib/engine/sql/lease-jobs.js';
import { rescheduleJobs } from '../../lib/engine/sql/reschedule-jobs.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { statementRunner } from '../integration/support/statement-runner.js';
import { testDatabase } from '../support/test-database.js';

/** A name that has to be quoted: what is not, or what names a schema of its own, fails here. */
const SCHEMA = 'order';
const FAILED = `run_at = 'infinity', failed_at = now(), run_count = 2, last_error = '{"name": "Error", "message": "x"}'`;

const setup = async () => {
  const database = await testDatabase({ schema: SCHEMA });
  const client = await database.client();
  await client.query(`set search_path = ''`);
  const run = async <Row extends pg.QueryResultRow>(text: string): Promise<Row[]> =>
    (await client.query<Row>(text)).rows;
  const insert = async (columns = '', values = '') =>
    (
      await run(
        `insert into "order".jobs (queue_name, payload${columns}) values ('mail', '1'${values}) returning id, seq`,
      )
    )[0]!;
  const job = async (id: unknown) => (await run(`select * from "order".jobs where id = ${id}`))[0];
  return { client, insert, job, run };
};

describe('the functions of retries, in a schema with another name, on an empty search path', () => {
  it('dead_letter() follows the failure of a job', async () => {
    const { insert, job, run } = await setup();
    await run(`insert into "order".queues (name, options) values ('mail', '{"deadLetter": "dead"}')`);
    const { id } = await insert(', group_key', `, 'g'`);
    await run(`update "order".jobs set ${FAILED} where id = ${id}`);
    const [letter] = await run(`select * from "order".jobs where queue_name = 'dead'`);
    expect(letter).toMatchObject({
      payload: 1,
      group_key: null,
      meta: {
        deadLetter: { queue: 'mail', id, attempts: 2, error: { message: 'x' }, options: { group: 'g' } },
      },
    });
    expect(await job(id)).toMatchObject({ queue_name: 'mail', run_count: 2 });
  });

  it('redrive() moves a dead letter back, with the group of the job', async () => {
    const { insert, run } = await setup();
    const meta = {
      deadLetter: { queue: 'mail', options: { group: 'g', groupConcurrency: 2, maxAttempts: 5 } },
    };
    const { id } = await insert(', meta', `, '${JSON.stringify(meta)}'`);
    const [moved] = await run(`select * from "order".redrive('{${id}}', '{"2"}')`);
    expect(moved).toMatchObject({ id, queue: 'mail' });
    expect(
      await run(`select id, payload, group_key, group_slots, max_attempts, meta from "order".jobs`),
    ).toEqual([
      { id: moved!['new_id'], payload: 2, group_key: 'g', group_slots: 2, max_attempts: 5, meta: null },
    ]);
  });

  it('redrive() passes over options that make no sense', async () => {
    const { insert, run } = await setup();
    const meta = { deadLetter: { queue: 'mail', options: { maxAttempts: 0, groupConcurrency: 'x' } } };
    const { id } = await insert(', meta', `, '${JSON.stringify(meta)}'`);
    expect(await run(`select * from "order".redrive('{${id}}', null)`)).toHaveLength(1);
    expect(await run(`select max_attempts, group_slots from "order".jobs`)).toEqual([
      { max_attempts: null, group_slots: null },
    ]);
  });

  it('retry() makes a failed job ready, and grants it an attempt', async () => {
    const { insert, job, run } = await setup();
    const { id, seq } = await insert();
    await run(`update "order".jobs set ${FAILED}, expires_at = '2020-01-01', unique_key = 'k'`);
    expect(await run(`select "order".retry(${id}, ${seq} + 1) as done`)).toEqual([{ done: false }]);
    expect(await run(`select "order".retry(${id}) as done`)).toEqual([{ done: true }]);
    expect(await job(id)).toMatchObject({
      run_at: null,
      failed_at: null,
      expires_at: null,
      run_count: 2,
      meta: { granted: 3 },
    });
  });

  it('retry() leaves a job alone whose unique key another has', async () => {
    const { insert, run } = await setup();
    const { id } = await insert();
    await run(`update "order".jobs set ${FAILED}, unique_key = 'k'`);
    await insert(', unique_key', `, 'k'`);
    expect(await run(`select "order".retry(${id}) as done`)).toEqual([{ done: false }]);
  });

  it('requeue(), the trigger, takes away what was granted', async () => {
    const { insert, job, run } = await setup();
    const { id } = await insert(', meta', `, '{"granted": 4, "tags": ["a"]}'`);
    await run(`update "order".jobs set ${FAILED}`);
    await run(`update "order".jobs set run_count = 0`);
    expect(await job(id)).toMatchObject({ failed_at: null, meta: { tags: ['a'] } });
  });

  it('remove() deletes a job that nobody runs', async () => {
    const { insert, job, run } = await setup();
    const [{ id }, running] = [await insert(), await insert(', group_key', `, 'g'`)];
    await run(
      `insert into "order".leases (worker_id, queue_name, priority, seqs, ids) values (1, 'mail', 0, '{${running['seq']}}', '{${running['id']}}')`,
    );
    expect(await run(`select "order".remove(${id}) as done`)).toEqual([{ done: true }]);
    expect(await run(`select "order".remove(${running['id']}) as done`)).toEqual([{ done: false }]);
    expect(await job(running['id'])).toBeDefined();
  });

  it('expire() fails a waiting job, which depends on nothing any more', async () => {
    const { insert, job, run } = await setup();
    const { id } = await insert(', expires_at, wait_count, run_at', `, '2020-01-01', 1, 'infinity'`);
    const later = await insert(', expires_at', `, '2100-01-01'`);
    await run(`insert into "order".dependencies (parent_id, child_id) values (99, ${id})`);
    expect(await run(`select * from "order".expire(10)`)).toEqual([{ id, queue: 'mail', attempts: 1 }]);
    expect(await job(id)).toMatchObject({ wait_count: 0, last_error: { code: 'TM_EXPIRED' } });
    expect(await job(later['id'])).toMatchObject({ failed_at: null });
    expect(await run(`select from "order".dependencies`)).toEqual([]);
    expect(await run(`select * from "order".expire(10)`)).toEqual([]);
  });

  it('the statements that settle and rescue remember errors', async () => {
    const { client, insert, job, run } = await setup();
    const statement = statementRunner(client, SCHEMA);
    const [worker] = await statement(registerWorker, { name: 'w', host: 'h', pid: 7, ttlMs: -1 });
    const [ours, lost] = [await insert(', expires_at', `, now() + interval '1 hour'`), await insert()] as {
      id: string;
      seq: string;
    }[];
    const error = JSON.stringify({ name: 'Error', message: 'x' });
    const late = { id: ours!.id, seq: ours!.seq, delayMs: 7_200_000, counted: true, error };
    expect(await statement(rescheduleJobs, { jobs: [late], leases: [], workerId: worker!.id })).toMatchObject(
      [{ expired: true }],
    );
    await run(
      `insert into "order".leases (worker_id, queue_name, priority, seqs, ids) values (${worker!.id}, 'mail', 0, '{${lost!.seq}}', '{${lost!.id}}')`,
    );
    await statement(rescueJobs, { limit: 10, maxCrashes: 3 });
    expect(await job(ours!.id)).toMatchObject({
      last_error: { code: 'TM_EXPIRED', cause: { message: 'x' } },
      errors: [{ attempt: 1, message: 'x', worker: 'h:7' }],
    });
    expect(await job(lost!.id)).toMatchObject({
      errors: [{ attempt: 1, code: 'TM_WORKER_LOST', worker: 'h:7' }],
    });
  });

  it('claimed_meta() tells how long a job may wait to be begun', async () => {
    const { run } = await setup();
    const [row] = await run(
      `select "order".claimed_meta('{"a": 1}', null) as none, "order".claimed_meta('[]', now() - interval '1 hour') as past`,
    );
    expect(row!['none']).toEqual({ a: 1 });
    expect((row!['past'] as { expiresInMs: number }).expiresInMs).toBeLessThan(-3_599_000);
  });
});
