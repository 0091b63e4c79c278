import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ConsumerRegistry,
  defineQueue,
  Job,
  QueueHandler,
  Scheduled,
  type ScheduledOptions,
  type ScheduledTiming,
  TaskmasterAdmin,
  TaskmasterModule,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { createApp, nestApp, taskmasterOptions } from './support/nest-app.js';

const Digest = defineQueue('write_digest', { schema: z.object({ kind: z.string() }), concurrency: 1 });

/** Runs a schedule now, as if it were due. */
async function fire(database: Awaited<ReturnType<typeof testDatabase>>, name: string): Promise<void> {
  await database.query(
    `update "${database.schema}".schedules set next_run_at = date_trunc('milliseconds', now()) where name = $1`,
    [name],
  );
}

describe('@Scheduled()', () => {
  it('runs a method at its times, as the handler of a queue named as the schedule', async () => {
    const ran = new SignalPoint<Job>();
    @Injectable()
    class Cleaner {
      @Scheduled('* * * * * *', { name: 'clean' })
      clean(_payload: unknown, job: Job) {
        ran.signal(job);
      }
    }
    const { get } = await nestApp({ providers: [Cleaner] });
    const [job] = await ran.count(1);
    expect(job).toMatchObject({ queue: 'clean', schedule: 'clean', payload: {} });
    expect(job!.scheduledFor!.getMilliseconds()).toBe(0);
    expect(get(ConsumerRegistry).list()).toMatchObject([
      { queue: 'clean', className: 'Cleaner', methodName: 'clean' },
    ]);
    expect(await get(TaskmasterAdmin).schedules.list()).toMatchObject([{ name: 'clean', owner: 'code' }]);
  });

  it('sends its jobs to the queue whose handler the method is', async () => {
    const ran = new SignalPoint<unknown>();
    @Injectable()
    class Digests {
      @Scheduled({ everyMs: 60_000 }, { name: 'hourly', payload: { kind: 'short' } })
      @QueueHandler(Digest)
      write(payload: { kind: string }) {
        ran.signal(payload);
      }
    }
    const { database, get, publisher } = await nestApp({ providers: [Digests] });
    await publisher.enqueue(Digest, { kind: 'by hand' });
    await ran.count(1);
    await fire(database, 'hourly');
    expect(await ran.count(2)).toEqual([{ kind: 'by hand' }, { kind: 'short' }]);
    expect(get(ConsumerRegistry).list()).toHaveLength(1);
  });

  it('makes its method the handler of the queue it names, with the options of its definition', async () => {
    const ran = new SignalPoint<unknown>();
    @Injectable()
    class Digests {
      @Scheduled('0 2 * * *', {
        name: 'nightly',
        queue: Digest,
        payload: { kind: 'long' },
        timezone: 'Europe/Berlin',
      })
      @Scheduled('0 12 * * *', { name: 'noon', queue: Digest, payload: { kind: 'short' } })
      write(payload: { kind: string }) {
        ran.signal(payload.kind);
      }
    }
    const { database, get } = await nestApp({ providers: [Digests] });
    expect(get(ConsumerRegistry).list()).toMatchObject([{ queue: 'write_digest', concurrency: 1 }]);
    await fire(database, 'nightly');
    await ran.count(1);
    await fire(database, 'noon');
    expect(await ran.count(2)).toEqual(['long', 'short']);
  });

  it('gives each of several schedules of a method a queue of its own when none is named', async () => {
    @Injectable()
    class Cleaner {
      @Scheduled('0 1 * * *', { name: 'one' })
      @Scheduled('0 2 * * *', { name: 'two' })
      clean() {}
    }
    const { get } = await nestApp({ providers: [Cleaner] });
    expect(
      get(ConsumerRegistry)
        .list()
        .map(({ queue }) => queue),
    ).toEqual(['one', 'two']);
  });

  it('is fired once, by however many applications', async () => {
    const database = await testDatabase();
    const ran = new SignalPoint<number>();
    @Injectable()
    class Cleaner {
      @Scheduled('* * * * * *', { name: 'clean' })
      clean(_payload: unknown, job: Job) {
        ran.signal(job.scheduledFor!.getTime());
      }
    }
    for (let n = 0; n < 3; n += 1) {
      const app = await createApp({
        imports: [TaskmasterModule.forRoot(taskmasterOptions(database))],
        providers: [Cleaner],
      });
      await app.init();
    }
    const times = await ran.count(4);
    expect(new Set(times).size).toBe(4);
  });

  it('belongs to the instance it names', async () => {
    const reports = await testDatabase();
    const ran = new SignalPoint();
    @Injectable()
    class Reports {
      @Scheduled('* * * * * *', { name: 'report', instance: 'reports' })
      write() {
        ran.signal();
      }
    }
    const instance = TaskmasterModule.forRoot({ ...taskmasterOptions(reports), name: 'reports' });
    @Module({ imports: [instance], providers: [Reports] })
    class ReportsModule {}
    const { get } = await nestApp({ imports: [ReportsModule] });
    await ran.count(1);
    expect(await get(TaskmasterAdmin).schedules.list()).toEqual([]);
  });

  it('fires nothing where the application only publishes', async () => {
    @Injectable()
    class Cleaner {
      @Scheduled('* * * * * *', { name: 'clean' })
      clean() {}
    }
    const { get } = await nestApp({ providers: [Cleaner], taskmaster: { consume: false } });
    expect(await get(TaskmasterAdmin).schedules.list()).toEqual([]);
  });

  it('is fired also where its queue is left to other processes', async () => {
    @Injectable()
    class Cleaner {
      @Scheduled('* * * * * *', { name: 'clean' })
      clean() {}

      @QueueHandler('mail')
      mail() {}
    }
    const { database } = await nestApp({ providers: [Cleaner], taskmaster: { consume: ['mail'] } });
    await eventually(async () => {
      const rows = await database.query(`select from "${database.schema}".jobs where queue_name = 'clean'`);
      return rows.length > 0;
    });
  });
});

describe('a boot with a wrong @Scheduled()', () => {
  const boot = async (when: ScheduledTiming, options: ScheduledOptions, ...queues: string[]) => {
    @Injectable()
    class Digests {
      write() {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Digests.prototype, 'write')!;
    Scheduled(when, options)(Digests.prototype, 'write', descriptor as never);
    for (const queue of queues) QueueHandler(queue)(Digests.prototype, 'write', descriptor);
    await nestApp({ providers: [Digests] });
  };

  it.each([
    ['61 * * * *', { name: 'a' }, /@Scheduled\(\) Digests\.write[^]*cron: .*Invalid value for minute/],
    ['0 2 * * *', {}, /name: expected a name/],
    ['0 2 * * *', undefined, /name: expected a name/],
    [{ everyMs: 10 }, { name: 'a' }, /everyMs: expected an integer from 1000/],
    [undefined, { name: 'a' }, /cron, everyMs: expected one of them/],
    [{ seconds: 10 }, { name: 'a' }, /seconds: unknown option/],
    ['0 2 * * *', { name: 'a', timezone: 'Mars/Olympus' }, /timezone: expected the name of a time zone/],
    ['0 2 * * *', { name: 'a', instance: 7 }, /instance: expected the name of an instance/],
    ['0 2 * * *', { name: 'a', queue: Digest, payload: { kind: 1 } }, /payload\.kind: /],
  ])('stops for %j and %j', async (when, options, reason) => {
    await expect(boot(when as ScheduledTiming, options as ScheduledOptions)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      message: expect.stringMatching(reason),
    });
  });

  it('stops for an instance that does not exist', async () => {
    await expect(boot('0 2 * * *', { name: 'a', instance: 'reports' })).rejects.toMatchObject({
      code: 'TM_UNKNOWN_INSTANCE',
    });
  });

  it('stops when it is not clear which queue is meant', async () => {
    await expect(boot('0 2 * * *', { name: 'a' }, 'x', 'y')).rejects.toMatchObject({
      code: 'TM_INVALID_HANDLER',
    });
  });

  it('starts when it is', async () => {
    await expect(boot('0 2 * * *', { name: 'a', queue: 'y' }, 'x', 'y')).resolves.toBeUndefined();
  });

  it('stops when two methods have a schedule of the same name, or the same queue', async () => {
    @Injectable()
    class Names {
      @Scheduled('0 2 * * *', { name: 'a', queue: 'x' })
      one() {}

      @Scheduled('0 3 * * *', { name: 'a', queue: 'y' })
      other() {}
    }
    await expect(nestApp({ providers: [Names] })).rejects.toMatchObject({
      code: 'TM_DUPLICATE_SCHEDULE',
      first: '@Scheduled() Names.one',
      second: '@Scheduled() Names.other',
    });
    @Injectable()
    class Queues {
      @Scheduled('0 2 * * *', { name: 'a', queue: 'x' })
      one() {}

      @QueueHandler('x')
      other() {}
    }
    await expect(nestApp({ providers: [Queues] })).rejects.toMatchObject({ code: 'TM_DUPLICATE_HANDLER' });
  });
});
