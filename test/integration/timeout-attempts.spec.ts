import { describe, expect, it } from 'vitest';
import { JobTimeoutError, type Job } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

describe('a handler that outlives its timeout', () => {
  it('is told by its signal, fails its attempt and frees its slot', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const reasons = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      job.signal.addEventListener('abort', () => reasons.signal(job.signal.reason));
      if (job.id === slow) await closed.pass();
    };
    const slow = await jobs.insert('mail');
    const next = await jobs.insert('mail');
    const options = { concurrency: 1, timeoutMs: 200, backoff: 60_000, handle };
    const { log } = await workingEngine(database, { mail: options });

    expect(await reasons.count(1)).toEqual([expect.any(JobTimeoutError)]);
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: next }]);
    expect(log.of('stuck').values).toMatchObject([{ jobId: slow, runCount: 1 }]);
    expect(await jobs.in(slow, 'scheduled')).toMatchObject({
      run_count: 1,
      last_error: { name: 'JobTimeoutError', code: 'TM_JOB_TIMEOUT' },
    });
  });

  it('cannot settle its job afterwards', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const late = new SignalPoint();
    const handle = async () => {
      await closed.pass();
      late.signal();
    };
    const { log } = await workingEngine(database, { mail: { timeoutMs: 100, maxAttempts: 1, handle } });
    const id = await jobs.insert('mail');
    await log.of('failed').count(1);
    closed.open();
    await late.count(1);
    await jobs.insert('other');
    expect(await jobs.of(id)).toMatchObject({ state: 'failed', run_count: 1 });
    expect(log.of('completed').values).toEqual([]);
  });

  it('is retried in time, beside the attempt that hangs', async () => {
    const database = await testDatabase();
    const closed = gate();
    const handle = (job: Job<never>) => (job.runCount === 1 ? closed.pass() : undefined);
    const { log } = await workingEngine(database, {
      mail: { concurrency: 1, timeoutMs: 100, backoff: 10, handle },
    });
    const id = await new JobTable(database).insert('mail');
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 2 }]);
  });

  it('frees every slot when all hang', async () => {
    const database = await testDatabase();
    const closed = gate();
    const handle = (job: Job<never>) => ((job.payload as { n: number }).n < 5 ? closed.pass() : undefined);
    const { log } = await workingEngine(database, {
      mail: { concurrency: 5, timeoutMs: 150, backoff: 60_000, handle },
    });
    await new JobTable(database).insertMany('mail', 10);
    await log.of('completed').count(5);
    expect(log.of('retried').values).toHaveLength(5);
  });

  it('is measured by the timeout of its job, when that has one', async () => {
    const database = await testDatabase();
    const closed = gate();
    const { taskmaster, log } = await workingEngine(database, {
      mail: { backoff: 60_000, handle: () => closed.pass() },
    });
    await taskmaster.publisher.enqueue('mail', {}, { timeoutMs: 100 });
    const [retried] = await log.of('retried').count(1);
    expect(retried!.error.message).toContain('within 100 ms');
  });

  it('may take for ever when its timeout is Infinity', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const closed = gate();
    const handle = () => closed.pass();
    const { taskmaster, log } = await workingEngine(database, {
      mail: { timeoutMs: Infinity, handle },
      timed: { timeoutMs: 100, handle },
    });
    await jobs.insert('mail');
    await taskmaster.publisher.enqueue('timed', {}, { timeoutMs: Infinity });
    await closed.reached(2);
    await jobs.insert('timed'); // one with the queue's timeout shows that time has passed
    await log.of('retried').count(1);
    closed.open();
    await log.of('completed').count(2);
    expect(log.of('retried').values).toHaveLength(1);
  });

  it.each(['99999999999', '-5', '0', '"soon"', '{}', 'null'])(
    'is measured by the timeout of its queue when SQL gave its job %s',
    async (timeoutMs) => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const closed = gate();
      const { log } = await workingEngine(database, {
        mail: { backoff: 60_000, handle: () => closed.pass() },
      });
      await jobs.insert('mail', { meta: `{"timeoutMs": ${timeoutMs}}` });
      await closed.reached(1);
      await eventually(async () => (await jobs.all())[0]?.state === 'running');
      closed.open();
      await log.of('completed').count(1);
      expect(log.of('stuck').values).toEqual([]);
    },
  );
});
