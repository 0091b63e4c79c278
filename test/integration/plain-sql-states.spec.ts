import { describe, expect, it } from 'vitest';
import { reject, retry, snooze } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { nextEvent } from '../support/next-event.js';
import { testDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const taskmaster = engine(database);
  const state = async (id: string) => {
    const [row] = await database.query(
      `select queue_name, payload, state, run_count, locked_at, locked_by from "${database.schema}".job_states where id = $1`,
      [id],
    );
    return row;
  };
  return { database, jobs: `"${database.schema}".jobs`, schema: `"${database.schema}"`, state, taskmaster };
};

describe('job_states', () => {
  it('shows a job that waits for a worker as ready', async () => {
    const { state, taskmaster } = await setup();
    await taskmaster.open();
    const { id } = await taskmaster.publisher.enqueue('mail', { n: 1 });
    expect(await state(id)).toEqual({
      queue_name: 'mail',
      payload: { n: 1 },
      state: 'ready',
      run_count: 0,
      locked_at: null,
      locked_by: null,
    });
  });

  it('shows who runs a job, and since when', async () => {
    const { database, schema, state, taskmaster } = await setup();
    const stop = gate();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { concurrency: 1 },
      handle: () => stop.pass(),
    });
    await taskmaster.start();
    const [first, second] = await taskmaster.publisher.enqueueMany('mail', [1, 2]);
    await stop.reached();
    const [worker] = await database.query<{ id: number; name: string; pid: number }>(
      `select id, name, pid from ${schema}.workers`,
    );
    expect(worker).toEqual({ id: expect.any(Number), name: 'default', pid: process.pid });
    expect(await state(first!.id)).toMatchObject({
      state: 'running',
      run_count: 0,
      locked_by: worker?.id,
      locked_at: expect.any(Date),
    });
    expect(await state(second!.id)).toMatchObject({ state: 'ready', locked_by: null, locked_at: null });
    const completed = nextEvent(taskmaster.events, 'completed', (event) => event.jobId === second!.id);
    stop.open();
    await completed;
    expect(await state(first!.id)).toBeUndefined();
  });

  it('shows what runs in the view running, with the name of the worker', async () => {
    const { database, schema, taskmaster } = await setup();
    const stop = gate();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => stop.pass() });
    await taskmaster.start();
    const { id } = await taskmaster.publisher.enqueue('mail');
    await stop.reached();
    const rows = await database.query(`select id, queue_name, worker from ${schema}.running`);
    expect(rows).toEqual([{ id, queue_name: 'mail', worker: 'default' }]);
  });

  it('shows a delayed job as scheduled', async () => {
    const { state, taskmaster } = await setup();
    await taskmaster.open();
    const { id } = await taskmaster.publisher.enqueue('mail', {}, { delayMs: 60_000 });
    expect(await state(id)).toMatchObject({ state: 'scheduled', run_count: 0, locked_by: null });
  });

  it.each([
    ['a retry', () => retry({ delayMs: 60_000 }), 'retried', { state: 'scheduled', run_count: 1 }],
    ['a snooze', () => snooze(60_000), 'snoozed', { state: 'scheduled', run_count: 0 }],
    ['a rejection', () => reject('no'), 'failed', { state: 'failed', run_count: 1 }],
  ] as const)('shows a job after %s', async (_what, handle, event, shown) => {
    const { state, taskmaster } = await setup();
    taskmaster.register({ queue: 'mail', label: 'mail', handle });
    await taskmaster.start();
    const settled = nextEvent(taskmaster.events, event);
    const { id } = await taskmaster.publisher.enqueue('mail');
    await settled;
    expect(await state(id)).toMatchObject({ ...shown, locked_at: null, locked_by: null });
  });

  it('shows a parked job as blocked', async () => {
    const { database, jobs, state } = await setup();
    const [row] = await database.query<{ id: string }>(
      `insert into ${jobs} (queue_name, payload, run_at) values ('mail', '1', 'infinity') returning id`,
    );
    expect(await state(row!.id)).toMatchObject({ state: 'blocked' });
  });

  it('shows a job that a stopping worker hands back as ready', async () => {
    const { database, state } = await setup();
    const taskmaster = engine(database, { shutdown: { drainTimeoutMs: 0 } });
    const stop = gate();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => stop.pass() });
    await taskmaster.start();
    const { id } = await taskmaster.publisher.enqueue('mail');
    await stop.reached();
    expect(await state(id)).toMatchObject({ state: 'running' });
    await taskmaster.stop();
    expect(await state(id)).toMatchObject({ state: 'ready', run_count: 0, locked_by: null });
  });
});
