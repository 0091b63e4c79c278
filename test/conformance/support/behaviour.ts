import { describe, expect, it } from 'vitest';
import { reject, retry, snooze } from '../../../lib/engine/index.js';
import { gate } from '../../support/gate.js';
import { nextEvent } from '../../support/next-event.js';
import { SignalPoint } from '../../support/signal-point.js';
import { type Variant, worldOf } from './variant.js';

/** What every engine does, however it is set up: one list, run over every variant. */
export function behavesAsAnEngine(variant: Variant): void {
  describe(variant.name, () => {
    it('gives the handler the payload, and what is known of the job', async () => {
      const { taskmaster, publish } = await worldOf(variant);
      const handled = new SignalPoint<unknown>();
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        handle: (payload: unknown, { id, queue, runCount, maxAttempts, tags }) =>
          handled.signal({ payload, id, queue, runCount, maxAttempts, tags }),
      });
      await taskmaster.start();
      const { id } = await publish('mail', { to: ['a'] }, { tags: ['t'], maxAttempts: 4 });
      expect(await handled.count(1)).toEqual([
        { payload: { to: ['a'] }, id, queue: 'mail', runCount: 1, maxAttempts: 4, tags: ['t'] },
      ]);
    });

    it('deletes a job that is acked', async () => {
      const { taskmaster, publish, state } = await worldOf(variant);
      taskmaster.register({ queue: 'mail', label: 'mail', handle: () => 'done' });
      await taskmaster.start();
      const completed = nextEvent(taskmaster.events, 'completed');
      const { id } = await publish('mail');
      expect(await completed).toMatchObject({ jobId: id, runCount: 1 });
      expect(await state(id)).toBeUndefined();
    });

    it('keeps a job that is rejected, as failed, and does not run it again', async () => {
      const { taskmaster, publish, state } = await worldOf(variant);
      taskmaster.register({ queue: 'mail', label: 'mail', handle: () => reject('no such address') });
      await taskmaster.start();
      const failed = nextEvent(taskmaster.events, 'failed');
      const { id } = await publish('mail');
      expect(await failed).toMatchObject({ jobId: id, cause: 'reject', runCount: 1 });
      expect(await state(id)).toEqual({ state: 'failed', run_count: 1, error: 'no such address' });
    });

    it('retries what throws, after its backoff, until no attempt is left', async () => {
      const { taskmaster, publish, state } = await worldOf(variant);
      const runs = new SignalPoint<number>();
      const delays: number[] = [];
      taskmaster.events.subscribe((event) => event.type === 'retried' && delays.push(event.delayMs));
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        options: { maxAttempts: 4, backoff: [20, 10] },
        handle: (_payload, job) => {
          runs.signal(job.runCount);
          if (job.runCount === 3) return retry({ delayMs: 5 });
          throw new Error(`failure ${job.runCount}`);
        },
      });
      await taskmaster.start();
      const failed = nextEvent(taskmaster.events, 'failed');
      const { id } = await publish('mail');
      expect(await failed).toMatchObject({ jobId: id, cause: 'exhausted', runCount: 4 });
      expect(runs.values).toEqual([1, 2, 3, 4]);
      expect(delays).toEqual([20, 10, 5]);
      expect(await state(id)).toEqual({ state: 'failed', run_count: 4, error: 'failure 4' });
    });

    it('runs a snoozed job again without counting', async () => {
      const { taskmaster, publish } = await worldOf(variant);
      const runs = new SignalPoint<number>();
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        options: { maxAttempts: 1 },
        handle: (_payload, job) => {
          runs.signal(job.runCount);
          return runs.values.length < 3 ? snooze(5) : undefined;
        },
      });
      await taskmaster.start();
      const completed = nextEvent(taskmaster.events, 'completed');
      await publish('mail');
      expect(await completed).toMatchObject({ runCount: 1 });
      expect(runs.values).toEqual([1, 1, 1]);
    });

    it('runs a delayed job when its time has come, by the clock of the database', async () => {
      const { database, taskmaster, publish } = await worldOf(variant);
      const started = new SignalPoint<{ createdAt: Date; runAt: Date }>();
      taskmaster.register({ queue: 'mail', label: 'mail', handle: (_payload, job) => started.signal(job) });
      await taskmaster.start();
      await publish('mail', {}, { delayMs: 100 });
      const [job] = await started.count(1);
      expect(job!.runAt.getTime() - job!.createdAt.getTime()).toBe(100);
      expect(await database.query('select clock_timestamp() >= $1 as come', [job?.runAt])).toEqual([
        { come: true },
      ]);
    });

    it('runs jobs that wait by their priority, and by their age within one', async () => {
      const { taskmaster, publish } = await worldOf(variant);
      await taskmaster.open();
      const order = ['5a', '0a', '-5a', '5b', '-5b', '0b'];
      for (const name of order) await publish('mail', name, { priority: Number.parseInt(name, 10) });
      const handled = new SignalPoint<unknown>();
      const options = { concurrency: 1 };
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        options,
        handle: (name: unknown) => handled.signal(name),
      });
      await taskmaster.start();
      expect(await handled.count(6)).toEqual(['-5a', '-5b', '0a', '0b', '5a', '5b']);
    });

    it('commits what a transactional handler writes together with the ack, and neither when it throws', async () => {
      const { database, taskmaster, publish, state } = await worldOf(variant);
      await database.query('create table orders (id text)');
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        options: { transactional: true, maxAttempts: 1 },
        handle: async (payload: unknown, job) => {
          await job.tx?.query('insert into public.orders values ($1)', [job.id]);
          await taskmaster.publisher.enqueue('next', payload);
          if (payload === 'bad') throw new Error('bad');
        },
      });
      await taskmaster.start();
      const [failed, completed] = [
        nextEvent(taskmaster.events, 'failed'),
        nextEvent(taskmaster.events, 'completed'),
      ];
      const [bad, good] = [await publish('mail', 'bad'), await publish('mail', 'good')];
      expect(await failed).toMatchObject({ jobId: bad.id });
      expect(await completed).toMatchObject({ jobId: good.id });
      expect(await database.query('select id from orders')).toEqual([{ id: good.id }]);
      expect(await state(bad.id)).toMatchObject({ state: 'failed' });
      expect(await state(good.id)).toBeUndefined();
      const next = await database.query(
        `select payload from "${database.schema}".jobs where queue_name = 'next'`,
      );
      expect(next).toEqual([{ payload: 'good' }]);
    });

    it('finishes what runs when it stops, and starts nothing more', async () => {
      const { taskmaster, publish, state } = await worldOf(variant);
      const stop = gate();
      const options = { concurrency: 2 };
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        options,
        handle: (_payload, job) => stop.pass(job.signal),
      });
      await taskmaster.start();
      const jobs = [await publish('mail', 1), await publish('mail', 2), await publish('mail', 3)];
      await stop.reached(2);
      const draining = nextEvent(taskmaster.events, 'engineDraining');
      const stopped = taskmaster.stop();
      expect(await draining).toMatchObject({ running: 2 });
      stop.open();
      await stopped;
      expect(taskmaster).toMatchObject({ state: 'stopped', running: 0 });
      const states = [await state(jobs[0]!.id), await state(jobs[1]!.id), await state(jobs[2]!.id)];
      expect(states).toEqual([undefined, undefined, { state: 'ready', run_count: 0, error: null }]);
    });

    it('runs what was put in while nobody worked, before its start and between two', async () => {
      const { taskmaster, publish } = await worldOf(variant);
      await taskmaster.open();
      await publish('mail', 'before');
      const handled = new SignalPoint<unknown>();
      taskmaster.register({
        queue: 'mail',
        label: 'mail',
        handle: (payload: unknown) => handled.signal(payload),
      });
      await taskmaster.start();
      expect(await handled.count(1)).toEqual(['before']);
      await taskmaster.stop();
      await publish('mail', 'between');
      await taskmaster.start();
      expect(await handled.count(2)).toEqual(['before', 'between']);
    });
  });
}
