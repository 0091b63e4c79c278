import { describe, expect, it } from 'vitest';
import { reject } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { idleWorker } from './support/idle-worker.js';

/** A worker that rejects every job once, and tells of every run. */
const setup = async () => {
  const database = await testDatabase();
  const taskmaster = engine(database);
  const runs = new SignalPoint<{ id: string; runCount: number }>();
  const rejected = new Set<string>();
  taskmaster.register({
    queue: 'mail',
    label: 'mail',
    handle: (_payload, job) => {
      runs.signal({ id: job.id, runCount: job.runCount });
      if (rejected.has(job.id)) return undefined;
      rejected.add(job.id);
      return reject('once');
    },
  });
  await taskmaster.start();
  const { events, publisher } = taskmaster;
  const fail = async () => {
    const failed = nextEvent(events, 'failed');
    const { id } = await publisher.enqueue('mail', 'payload');
    await failed;
    return id;
  };
  return { database, events, fail, runs, jobs: `"${database.schema}".jobs` };
};

describe('update ... set run_count = 0', () => {
  it('lets a failed job run again at once, as a first attempt', async () => {
    const { database, events, fail, runs, jobs } = await setup();
    const id = await fail();
    const completed = nextEvent(events, 'completed');
    await database.query(`update ${jobs} set run_count = 0 where id = $1`, [id]);
    expect(await runs.count(2)).toEqual([
      { id, runCount: 1 },
      { id, runCount: 1 },
    ]);
    expect(await completed).toMatchObject({ jobId: id });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('lets all failed jobs of a queue run again', async () => {
    const { database, fail, runs, jobs } = await setup();
    const ids = [await fail(), await fail(), await fail()];
    await database.query(`update ${jobs} set run_count = 0 where queue_name = 'mail'`);
    const again = (await runs.count(6)).slice(3).map((run) => run.id);
    expect(again.toSorted()).toEqual(ids);
  });

  it('rings the bell of an idle worker', async () => {
    const { database, bells, handled, jobs } = await idleWorker();
    await database.query(
      `insert into ${jobs} (queue_name, payload, run_count, run_at, failed_at) values ('other', '1', 3, 'infinity', now())`,
    );
    await database.query(`update ${jobs} set run_count = 0, queue_name = 'mail'`);
    await handled.count(1);
    expect(await bells.count(1)).toEqual(['mail']);
  });

  it('makes a failed job ready, without the traces of its failure but for the error', async () => {
    const { database, fail, jobs } = await setup();
    const id = await fail();
    await database.query(`update ${jobs} set queue_name = 'nobody' where id = $1`, [id]);
    await database.query(`update ${jobs} set run_count = 0 where id = $1`, [id]);
    const [row] = await database.query(
      `select state, run_count, crash_count, run_at, failed_at, last_error ->> 'message' as error
         from "${database.schema}".job_states where id = $1`,
      [id],
    );
    expect(row).toEqual({
      state: 'ready',
      run_count: 0,
      crash_count: 0,
      run_at: null,
      failed_at: null,
      error: 'once',
    });
  });

  it('goes back with its transaction', async () => {
    const { database, fail, jobs } = await setup();
    const id = await fail();
    await database.query(`begin; update ${jobs} set run_count = 0; rollback`);
    const rows = await database.query(`select id, state, run_count from "${database.schema}".job_states`);
    expect(rows).toEqual([{ id, state: 'failed', run_count: 1 }]);
  });

  it('moves no job that has not failed', async () => {
    const database = await testDatabase();
    const { jobs, states } = { jobs: `"${database.schema}".jobs`, states: `"${database.schema}".job_states` };
    await database.query(`insert into ${jobs} (queue_name, payload, run_count, run_at) values
      ('ready', '1', 2, null), ('scheduled', '1', 2, now() + interval '1 hour'), ('blocked', '1', 2, 'infinity')`);
    const before = await database.query(`select id, seq, run_at, ready_at from ${jobs} order by id`);
    await database.query(`update ${jobs} set run_count = 0`);
    expect(await database.query(`select id, seq, run_at, ready_at from ${jobs} order by id`)).toEqual(before);
    const rows = await database.query(`select queue_name, state from ${states} order by id`);
    expect(rows.map((row) => row['state'])).toEqual(rows.map((row) => row['queue_name']));
  });

  it('leaves a running job to its attempt', async () => {
    const database = await testDatabase();
    const jobs = `"${database.schema}".jobs`;
    const taskmaster = engine(database);
    const stop = gate();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => stop.pass() });
    await taskmaster.start();
    await taskmaster.publisher.enqueue('mail');
    await stop.reached();
    await database.query(`update ${jobs} set run_count = 0`);
    const completed = nextEvent(taskmaster.events, 'completed');
    stop.open();
    await completed;
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('has nothing to say about other values: a failed job stays failed', async () => {
    const { database, fail, jobs } = await setup();
    const id = await fail();
    await database.query(`update ${jobs} set run_count = 5`);
    const rows = await database.query(`select id, state, run_count from "${database.schema}".job_states`);
    expect(rows).toEqual([{ id, state: 'failed', run_count: 5 }]);
  });
});
