import { describe, expect, it } from 'vitest';
import {
  InvalidOptionsError,
  isHandlerOutcome,
  JobStepError,
  reject,
  type Job,
} from '../../lib/engine/index.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { StepTable } from './support/step-table.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

/** Until somebody lets the time pass: see {@link StepTable.elapse}. */
const LONG_MS = 3_600_000;

const setup = async () => {
  const database = await testDatabase();
  return { database, jobs: new JobTable(database), steps: new StepTable(database) };
};

describe('job.sleep()', () => {
  it('gives the slot back, and goes on later without having spent an attempt', async () => {
    const { database, jobs, steps } = await setup();
    const done: string[] = [];
    const sleeper = async (job: Job<never>) => {
      await job.step('before', () => done.push('before'));
      await job.sleep(LONG_MS);
      done.push('after');
    };
    const { log } = await workingEngine(database, {
      mail: {
        concurrency: 1,
        maxAttempts: 1,
        handle: (job: Job<never>) =>
          (job.payload as { quick?: boolean }).quick === true ? void done.push('quick') : sleeper(job),
      },
    });
    const id = await jobs.insert('mail');
    const [sleeping] = await steps.asleep();
    expect(sleeping).toMatchObject({ id, kind: 'sleep', name: null, event_name: null });
    expect(sleeping!.wake_at!.getTime()).toBeGreaterThan(Date.now() + LONG_MS / 2);
    expect(await jobs.of(id)).toMatchObject({ state: 'scheduled', run_count: 0, locked_by: null });
    expect(await log.of('sleeping').count(1)).toMatchObject([
      { jobId: id, runCount: 1, delayMs: expect.closeTo(LONG_MS, -5) },
    ]);
    await jobs.insert('mail', { payload: '{"quick": true}' });
    await log.of('completed').count(1);
    await steps.elapse();
    await jobs.empty();
    expect(done).toEqual(['before', 'quick', 'after']);
    expect(await log.of('completed').count(2)).toMatchObject([{}, { jobId: id, runCount: 1 }]);
  });

  it.each([
    ['with bells', {}],
    ['by polling', NO_BELLS],
  ])('wakes by itself, not before its time by the clock of the database, %s', async (_name, options) => {
    const { database, jobs } = await setup();
    const begun: number[] = [];
    const now = async () => {
      const [row] = await database.query<{ ms: number }>(
        'select (extract(epoch from clock_timestamp()) * 1000)::double precision as ms',
      );
      return row!.ms;
    };
    const handle = async (job: Job<never>) => {
      begun.push(await job.step('begin', now));
      await job.sleep(150);
      begun.push(await now());
    };
    await workingEngine(database, { mail: handle }, options);
    await jobs.insert('mail');
    await jobs.empty();
    expect(begun).toHaveLength(3);
    expect(begun[2]! - begun[0]!).toBeGreaterThanOrEqual(150);
  });

  it('tells sleeps without a name apart by their order, and others by their name', async () => {
    const { database, jobs, steps } = await setup();
    const handle = async (job: Job<never>) => {
      await job.sleep(0);
      await job.sleep('cool off', 0);
      await job.sleep('cool off', LONG_MS);
      await job.sleep(LONG_MS);
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await steps.asleep();
    expect((await steps.all()).map(({ name, nth, finished }) => [name, nth, finished])).toEqual([
      ['', 1, true],
      ['cool off', 0, true],
      ['', 2, false],
    ]);
  });

  it('sleeps for the time it was given first', async () => {
    const { database, jobs, steps } = await setup();
    const ran = new SignalPoint<number>();
    const handle = async (job: Job<never>) => {
      ran.signal(1);
      await job.sleep(ran.values.length === 1 ? LONG_MS : 0);
    };
    await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    const [before] = await steps.asleep();
    await database.query(`update ${jobs.schema}.jobs set run_at = now() where id = $1`, [id]); // woken too early
    await ran.count(2);
    expect(await steps.asleep()).toEqual([before]);
  });

  it.each<[string, (error: unknown) => unknown]>([
    ['swallows the error', () => 'done'],
    [
      'throws another',
      (cause) => {
        throw new Error('could not go on', { cause });
      },
    ],
    ['rejects the job', () => reject('failed')],
  ])('sleeps also when its handler %s', async (_name, onError) => {
    const { database, jobs, steps } = await setup();
    const seen: unknown[] = [];
    const handle = async (job: Job<never>) => {
      try {
        await job.sleep(LONG_MS);
      } catch (error) {
        seen.push(isHandlerOutcome(error));
        await job.step('too early', () => seen.push('done')).catch((refused) => seen.push(refused === error));
        await job.transaction(async () => seen.push('done')).catch((refused) => seen.push(refused === error));
        return onError(error);
      }
      return seen.push('after');
    };
    const { log } = await workingEngine(database, { mail: { maxAttempts: 1, handle } });
    await jobs.insert('mail');
    await steps.asleep();
    expect(seen).toEqual([true, true, true]);
    await steps.elapse();
    await jobs.empty();
    expect(seen).toEqual([true, true, true, 'after']);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
  });

  it('waits for steps that are under way in parallel, and those that follow them', async () => {
    const { database, jobs, steps } = await setup();
    const done: string[] = [];
    const closed = gate();
    const step = (job: Job<never>, name: string) =>
      job.step(name, async () => {
        if (name === 'slow') await closed.pass();
        done.push(name);
      });
    const handle = async (job: Job<never>) => {
      await Promise.all([
        job.sleep('nap', LONG_MS),
        step(job, 'quick'),
        (async () => {
          await step(job, 'slow');
          await step(job, 'next');
          await job.sleep('other', LONG_MS);
          await step(job, 'last');
        })(),
      ]);
    };
    await workingEngine(database, { mail: handle });
    const id = await jobs.insert('mail');
    await closed.reached(1);
    expect(await jobs.of(id)).toMatchObject({ state: 'running' });
    closed.open();
    expect(await steps.asleep()).toMatchObject([{ name: 'nap' }, { name: 'other' }]);
    expect(done).toEqual(['quick', 'slow', 'next']);
    await steps.elapse();
    await jobs.empty();
    expect(done).toEqual(['quick', 'slow', 'next', 'last']);
  });

  it('wakes for the first of several', async () => {
    const { database, jobs, steps } = await setup();
    const runs = new SignalPoint<void>();
    const handle = async (job: Job<never>) => {
      runs.signal();
      await Promise.all([job.sleep('long', LONG_MS), job.sleep('short', 50)]);
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await runs.count(2);
    expect(await steps.asleep()).toMatchObject([{ name: 'long' }]);
    expect(runs.values).toHaveLength(2);
  });

  it('does nothing in a handler that does not await it', async () => {
    const { database, jobs, steps } = await setup();
    const handle = (job: Job<never>) => {
      void job.sleep(LONG_MS);
      return 'done';
    };
    const { log } = await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    await jobs.empty();
    await log.of('completed').count(1);
    expect(await steps.all()).toEqual([]);
  });

  it('is refused inside a step, and with what is no time', async () => {
    const { database, jobs } = await setup();
    const errors = new SignalPoint<unknown>();
    const handle = async (job: Job<never>) => {
      await job.step('a', () => job.sleep(10)).catch(errors.signal);
      for (const bad of [-1, NaN, Infinity, '5', undefined])
        await (async () => job.sleep(bad as number))().catch(errors.signal);
    };
    await workingEngine(database, { mail: handle });
    await jobs.insert('mail');
    expect(await errors.count(6)).toEqual([
      expect.any(JobStepError),
      ...Array.from({ length: 5 }, () => expect.any(InvalidOptionsError)),
    ]);
  });

  it('begins the timeout of the attempt anew', async () => {
    const { database, jobs, steps } = await setup();
    const handle = async (job: Job<never>) => {
      for (let n = 0; n < 3; n += 1) await job.sleep(LONG_MS);
    };
    const { log } = await workingEngine(database, { mail: { timeoutMs: 3_000, handle } });
    await jobs.insert('mail');
    for (let n = 1; n <= 3; n += 1) {
      await log.of('sleeping').count(n);
      await steps.elapse();
    }
    await jobs.empty();
    expect(log.of('stuck').values).toEqual([]);
    expect(await log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
  });

  it('lets others of a limited queue run, and goes on holding up its group', async () => {
    const { database, jobs, steps } = await setup();
    const done: string[] = [];
    const handle = async (job: Job<never>) => {
      const { name, sleeps } = job.payload as { name: string; sleeps?: boolean };
      if (sleeps === true) await job.sleep(LONG_MS);
      done.push(name);
    };
    const { taskmaster, log } = await workingEngine(database, { mail: { globalConcurrency: 1, handle } });
    await taskmaster.publisher.enqueue('mail', { name: 'a1', sleeps: true }, { group: 'a' });
    await steps.asleep();
    await taskmaster.publisher.enqueue('mail', { name: 'a2' }, { group: 'a' });
    await taskmaster.publisher.enqueue('mail', { name: 'b1' }, { group: 'b' });
    await log.of('completed').count(1);
    expect(done).toEqual(['b1']);
    await steps.elapse();
    await jobs.empty();
    expect(done).toEqual(['b1', 'a1', 'a2']);
  });
});

describe('a job that is cancelled', () => {
  it('while it sleeps ends at once', async () => {
    const { database, jobs, steps } = await setup();
    await workingEngine(database, { mail: (job: Job<never>) => job.sleep(LONG_MS) });
    const id = await jobs.insert('mail');
    await steps.asleep();
    expect(await database.query(`select ${jobs.schema}.cancel($1)`, [id])).toEqual([{ cancel: 'cancelled' }]);
    expect(await jobs.all()).toEqual([]);
    expect(await steps.all()).toEqual([]);
  });

  it('while its handler falls asleep ends as well', async () => {
    const { database, jobs, steps } = await setup();
    const closed = gate();
    const handle = async (job: Job<never>) => {
      try {
        await job.sleep(LONG_MS);
      } finally {
        await closed.pass();
      }
    };
    const { log } = await workingEngine(database, { mail: handle }, NO_BELLS);
    const id = await jobs.insert('mail');
    await closed.reached(1);
    expect(await database.query(`select ${jobs.schema}.cancel($1)`, [id])).toEqual([{ cancel: 'aborting' }]);
    closed.open(); // before anybody has told the handler, or after: both end it
    await log.of('cancelled').count(1);
    await jobs.empty();
    expect(await steps.all()).toEqual([]);
  });
});
