import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { testDatabase } from '../support/test-database.js';

/** A name that has to be quoted: what is not, or what names a schema of its own, fails here. */
const SCHEMA = 'order';

const setup = async () => {
  const database = await testDatabase({ schema: SCHEMA });
  const client = await database.client();
  await client.query(`set search_path = ''`);
  const run = async <Row extends pg.QueryResultRow>(text: string): Promise<Row[]> =>
    (await client.query<Row>(text)).rows;
  return { client, database, run, tables: tablesOf(SCHEMA) };
};

/** Two jobs, the first behind the head of its lane, as if it had been committed late. */
const STRAGGLER = `
  insert into "order".jobs (queue_name, payload) values ('mail', '1'), ('mail', '2');
  insert into "order".lanes (queue_name, priority, head)
  select queue_name, priority, max(seq) from "order".jobs group by queue_name, priority`;

const TESTED_HERE = [
  'adopt',
  'claim_alone',
  'doorbell',
  'enqueue',
  'error_fingerprint',
  'error_frame',
  'error_pattern',
  'fire_schedules',
  'release_schedule_jobs',
  'requeue',
  'ring',
  'schedule_bell',
  'schedule_changed',
  'schedule_job',
  'sweep',
  'trigger_schedule',
];
/** By test/integration, on schemas of other names. */
const TESTED_BY_ENGINES = [
  'look_at_queue',
  'add_counts',
  'admit',
  'age_jobs',
  'apply_effects',
  'begin_snapshot',
  'begin_wait',
  'callbacks_of',
  'call_gate',
  'cancel',
  'cancel_held',
  'cancel_jobs',
  'claim_limited',
  'close_batch',
  'deliver_events',
  'emit',
  'end_waiting',
  'enqueue_batch',
  'enqueue_jobs',
  'explain',
  'fail_waiting',
  'finish_batch',
  'group_heads',
  'hold_gate',
  'hold_unique',
  'insert_job',
  'insert_jobs',
  'insert_unique',
  'job_ended',
  'job_facts',
  'job_requeued',
  'job_tuple',
  'known_queues',
  'lane_mode',
  'lease_jobs',
  'live_watchers',
  'leave_job',
  'lock_jobs',
  'make_partition',
  'merge_payloads',
  'open_batch',
  'order_worker',
  'parent_failed',
  'parents_in',
  'parents_of',
  'park_job',
  'pause',
  'pick_grouped',
  'pick_ungrouped',
  'prune',
  'queue_limits',
  'rate_room',
  'record_events',
  'remove_jobs',
  'reprocess',
  'resume',
  'schedule_job_if_room',
  'set_max_pending',
  'take_up',
  'unbatched',
  'unique_key',
  'untouched',
  'version_in',
  'watch_events',
  'workers_of',
  'prune_stats',
  'record_stats',
  'store_snapshot',
  'sum_counts',
];
/** By retry-functions.spec.ts. */
const TESTED_WITH_RETRIES = [
  'brief_error',
  'claimed_meta',
  'count_in',
  'dead_letter',
  'expire',
  'expired_error',
  'hold_lanes',
  'key_taken',
  'lifted_expiry',
  'lost_error',
  'redrive',
  'remembered',
  'remove',
  'retry',
  'ungranted',
];

describe('the functions of a schema with another name, on an empty search path', () => {
  it('are all tested here', async () => {
    const { run } = await setup();
    const functions = await run<{ name: string }>(
      `select proname as name from pg_proc where pronamespace = '"order"'::regnamespace order by proname`,
    );
    expect(functions.map((row) => row.name)).toEqual(
      [...TESTED_HERE, ...TESTED_BY_ENGINES, ...TESTED_WITH_RETRIES].toSorted(),
    );
  });

  it('error_fingerprint() is the same for errors that differ in ids, numbers, quotes and lines only', async () => {
    const { client } = await setup();
    const fingerprintOf = async (message: string, at: string, name = 'Error') => {
      const error = { name, message, stack: `${name}: ${message}\n    at ${at}\n    at b (/app/b.js:1:1)` };
      const { rows } = await client.query<{ it: string }>(`select "order".error_fingerprint($1) as it`, [
        error,
      ]);
      return rows[0]?.it;
    };
    const one = await fingerprintOf(`Order 81 of "a" at 0xff has no 5f3a9c17`, 'send (/app/a.js:10:5)');
    expect(one).toMatch(/^[0-9a-f]{16}$/);
    expect(await fingerprintOf(`Order 9 of "bc" at 0x1 has no 77b1`, 'send (/app/a.js:11:9)')).toBe(one);
    expect(await fingerprintOf(`Order 81 of "a" at 0xff is no 5f3a9c17`, 'send (/app/a.js:10:5)')).not.toBe(
      one,
    );
    expect(await fingerprintOf(`Order 81 of "a" at 0xff has no 5f3a9c17`, 'save (/app/a.js:10:5)')).not.toBe(
      one,
    );
    expect(
      await fingerprintOf(`Order 1 of "a" at 0xff has no 1`, 'send (/app/a.js:1:5)', 'TypeError'),
    ).not.toBe(one);
    const uuids = ['3f2504e0-4f89-11d3-9a0c-0305e82c3301', '00000000-0000-4000-8000-000000000000'];
    expect(await fingerprintOf(uuids[0]!, 'x')).toBe(await fingerprintOf(uuids[1]!, 'x'));
  });

  it('error_fingerprint() of what is no error is nothing', async () => {
    const { run } = await setup();
    expect(
      await run(`select "order".error_fingerprint(null) as a, "order".error_fingerprint('"text"') as b`),
    ).toEqual([{ a: null, b: null }]);
    const [bare] = await run<{ it: string }>(`select "order".error_fingerprint('{}') as it`);
    expect(bare?.it).toMatch(/^[0-9a-f]{16}$/);
  });

  it('enqueue() stores a job', async () => {
    const { run } = await setup();
    const [row] = await run(`select "order".enqueue('mail', '{"to": "a"}', '{"priority": 3}') as id`);
    expect(await run('select id, queue_name, payload, priority from "order".jobs')).toEqual([
      { id: row?.['id'], queue_name: 'mail', payload: { to: 'a' }, priority: 3 },
    ]);
  });

  it('sweep() leases the jobs behind a head', async () => {
    const { run } = await setup();
    await run(STRAGGLER);
    const [lease, end] = await run(`select * from "order".sweep(7, '{mail}', '{1}', false)`);
    expect(lease).toMatchObject({ queue: 'mail', lane: 0 });
    expect(end).toMatchObject({ queue: null, lease: null, lane: 1 });
    expect(await run('select worker_id, cardinality(seqs) as jobs from "order".leases')).toEqual([
      { worker_id: 7, jobs: 1 },
    ]);
  });

  it('sweep() opens the lane of a new priority', async () => {
    const { run } = await setup();
    await run(`insert into "order".jobs (queue_name, payload, priority) values ('mail', '1', -5)`);
    await run(`select * from "order".sweep(7, '{mail}', '{1}', false)`);
    expect(await run('select queue_name, priority from "order".lanes')).toEqual([
      { queue_name: 'mail', priority: -5 },
    ]);
  });

  it('claim_alone() leases one job on its last chance', async () => {
    const { run } = await setup();
    await run(STRAGGLER);
    await run('update "order".jobs set run_alone = true');
    const [lease, none] = await run(`select * from "order".claim_alone(7, '{mail}')`);
    expect(lease).toMatchObject({ queue: 'mail', lane: 0 });
    expect(JSON.parse(String(lease?.['jobs']))).toEqual([expect.arrayContaining(['1'])]);
    expect(none).toBeUndefined();
    expect(await run('select worker_id, cardinality(seqs) as jobs from "order".leases')).toEqual([
      { worker_id: 7, jobs: 1 },
    ]);
  });

  it('ring(), and doorbell() for an insert, notify the channel of the schema when somebody waits', async () => {
    const { client, database, run, tables } = await setup();
    const rung: pg.Notification[] = [];
    client.on('notification', (notification) => rung.push(notification));
    await client.query(`listen ${tables.channel}`);
    await run(`select pg_advisory_lock_shared(1413830740, hashtext('mail'))`);
    const inserter = await database.client();
    await inserter.query(`select "order".ring('mail')`);
    await inserter.query(
      `insert into "order".jobs (queue_name, payload) values ('mail', '1'), ('other', '2')`,
    );
    await run('select 1');
    expect(rung.map(({ channel, payload }) => ({ channel, payload }))).toEqual([
      { channel: tables.channel, payload: 'mail' },
      { channel: tables.channel, payload: 'mail' },
    ]);
  });

  it('requeue() makes a failed job ready', async () => {
    const { run } = await setup();
    await run(
      `insert into "order".jobs (queue_name, payload, run_count, run_at, failed_at) values ('mail', '1', 1, 'infinity', now())`,
    );
    await run('update "order".jobs set run_count = 0');
    expect(await run('select run_at, failed_at, run_count from "order".jobs')).toEqual([
      { run_at: null, failed_at: null, run_count: 0 },
    ]);
  });

  it('adopt() takes over a table', async () => {
    const { run } = await setup();
    await run(
      `create table public.old (id bigint, queue_name text, payload jsonb, run_count integer, created_at timestamptz)`,
    );
    await run(`insert into public.old values (5, 'mail', '1', 0, now())`);
    expect(await run(`select "order".adopt('public.old') as adopted`)).toEqual([{ adopted: '1' }]);
    await run(`insert into public.old (queue_name, payload) values ('mail', '2')`);
    expect(await run('select id, payload from "order".jobs order by id')).toEqual([
      { id: '5', payload: 1 },
      { id: '6', payload: 2 },
    ]);
  });

  it('fire_schedules(), by schedule_job(), enqueues for the due times of a state and moves on', async () => {
    const { run } = await setup();
    await run(
      `insert into "order".schedules (name, queue_name, cron) values ('nightly', 'mail', '0 2 * * *')`,
    );
    const fire = (revision: number) =>
      run(`select schedule, queue, due = '2026-01-01T02:00Z' as due, job is not null as fired from "order".fire_schedules(
             '[{"n": "nightly", "r": ${revision}, "t": "2126-01-02T02:00Z", "d": ["2026-01-01T02:00Z"], "p": null}]')`);
    expect(await fire(0)).toEqual([{ schedule: 'nightly', queue: 'mail', due: true, fired: true }]);
    expect(await fire(0)).toEqual([]);
    expect(await run(`select meta ->> 'schedule' as schedule from "order".jobs`)).toEqual([
      { schedule: 'nightly' },
    ]);
    const [row] = await run(
      `select next_run_at = '2126-01-02T02:00Z' as moved, revision from "order".schedules`,
    );
    expect(row).toEqual({ moved: true, revision: '1' });
  });

  it('schedule_changed() has another timing planned anew', async () => {
    const { run } = await setup();
    await run(
      `insert into "order".schedules (name, queue_name, cron, next_run_at) values ('nightly', 'mail', '0 2 * * *', '2126-01-01')`,
    );
    await run(`update "order".schedules set payload = '1'`);
    const planned = `select isfinite(next_run_at) as planned, revision from "order".schedules`;
    expect(await run(planned)).toEqual([{ planned: true, revision: '1' }]);
    await run(`update "order".schedules set cron = '0 3 * * *'`);
    expect(await run(planned)).toEqual([{ planned: false, revision: '2' }]);
  });

  it('trigger_schedule() fires by hand, and refuses a name that is not there', async () => {
    const { run } = await setup();
    await run(
      `insert into "order".schedules (name, queue_name, cron) values ('nightly', 'mail', '0 2 * * *')`,
    );
    const [row] = await run(`select "order".trigger_schedule('nightly') as id`);
    expect(await run('select id from "order".jobs')).toEqual([{ id: row?.['id'] }]);
    await expect(run(`select "order".trigger_schedule('weekly')`)).rejects.toMatchObject({ code: 'P0002' });
  });

  it('release_schedule_jobs() lets the next job run when those before it have ended', async () => {
    const { run } = await setup();
    await run(
      `insert into "order".schedules (name, queue_name, cron, overlap) values ('nightly', 'mail', '0 2 * * *', 'queue')`,
    );
    for (let n = 0; n < 3; n += 1) await run(`select "order".trigger_schedule('nightly')`);
    const states = () =>
      run('select state from "order".job_states order by id').then((rows) => rows.map((row) => row['state']));
    const release = () => run('select queue from "order".release_schedule_jobs()');
    expect(await states()).toEqual(['ready', 'blocked', 'blocked']);
    expect(await release()).toEqual([]);
    await run('delete from "order".jobs where id = (select min(id) from "order".jobs)');
    expect(await release()).toEqual([{ queue: 'mail' }]);
    expect(await release()).toEqual([]);
    expect(await states()).toEqual(['ready', 'blocked']);
  });

  it('schedule_bell() rings for what may be due earlier, and for nothing else', async () => {
    const { client, database, run, tables } = await setup();
    const rung: (string | undefined)[] = [];
    client.on('notification', (notification) => rung.push(notification.payload));
    await client.query(`listen ${tables.channel}`);
    await run(`select pg_advisory_lock_shared(1413830740, hashtext(''))`);
    const other = await database.client();
    const ringsOf = async (text: string) => {
      await other.query(text);
      await run('select 1');
      return rung.splice(0).length;
    };
    const insert = `insert into "order".schedules (name, queue_name, cron) values ('nightly', 'mail', '0 2 * * *')`;
    expect(await ringsOf(insert)).toBe(1);
    expect(await ringsOf(`update "order".schedules set next_run_at = '2126-01-01'`)).toBe(0);
    expect(await ringsOf(`update "order".schedules set next_run_at = '2125-01-01'`)).toBe(1);
    expect(await ringsOf(`update "order".schedules set cron = '0 3 * * *'`)).toBe(1);
    expect(await ringsOf(`update "order".schedules set payload = '1', code_seen_at = now()`)).toBe(0);
    expect(await ringsOf(`update "order".schedules set paused_at = now()`)).toBe(0);
    expect(await ringsOf(`update "order".schedules set paused_at = null`)).toBe(1);
  });
});
