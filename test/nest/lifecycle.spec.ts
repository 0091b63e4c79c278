import { Injectable, Module, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  PublisherService,
  QueueHandler,
  TaskmasterEvents,
  TaskmasterModule,
  TaskmasterRuntime,
  type Job,
  type TaskmasterEventType,
} from '../../lib/index.js';
import { TaskmasterCore } from '../../lib/nest/taskmaster.core.js';
import { TaskmasterLifecycle } from '../../lib/nest/taskmaster.lifecycle.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { createApp, nestApp, taskmasterOptions } from './support/nest-app.js';

/** A provider that notes its lifecycle hooks. */
function noting(name: string, log: string[]): Type {
  @Injectable()
  class Noting {
    onModuleInit() {
      log.push(`${name}.init`);
    }
    onApplicationBootstrap() {
      log.push(`${name}.boot`);
    }
    onModuleDestroy() {
      log.push(`${name}.destroy`);
    }
    onApplicationShutdown() {
      log.push(`${name}.shutdown`);
    }
  }
  return Noting;
}

/** Notes our own hooks as well; they still run. */
function noteOurs(log: string[]): void {
  const hooks = [
    [TaskmasterCore, 'onModuleInit', 'core.init'],
    [TaskmasterCore, 'onApplicationShutdown', 'core.shutdown'],
    [TaskmasterLifecycle, 'onModuleInit', 'runner.init'],
    [TaskmasterLifecycle, 'onApplicationBootstrap', 'runner.boot'],
    [TaskmasterLifecycle, 'onModuleDestroy', 'runner.destroy'],
  ] as const;
  for (const [type, hook, name] of hooks) {
    const prototype = type.prototype as unknown as Record<string, () => Promise<void>>;
    const original = prototype[hook]!;
    const spy = vi.spyOn(prototype, hook).mockImplementation(function (this: unknown) {
      log.push(name);
      return original.call(this);
    });
    onTestFinished(() => spy.mockRestore());
  }
}

function providing(provider: Type, options: Partial<DynamicModule> = {}): DynamicModule {
  class SomeModule {}
  Module({})(SomeModule);
  return { module: SomeModule, providers: [provider], exports: [provider], ...options };
}

/** A module that imports another. */
function inside(inner: DynamicModule): DynamicModule {
  return { module: class SomeModule {}, imports: [inner] };
}

const STARTED =
  'prisma.init core.init handler.init root.init runner.init prisma.boot handler.boot root.boot runner.boot';
const CLOSED =
  'runner.destroy root.destroy handler.destroy prisma.destroy root.shutdown handler.shutdown core.shutdown prisma.shutdown';

describe('the hooks of an application', () => {
  const rootModule = async (log: string[], isGlobal: boolean): Promise<Type> => {
    const options = taskmasterOptions(await testDatabase());
    @Module({
      imports: [
        providing(noting('prisma', log), { global: true }),
        TaskmasterModule.forRoot({ ...options, isGlobal }),
        // Nested deep, so that Nest by itself would initialise it before any module that is imported here.
        inside(inside(inside(providing(noting('handler', log))))),
      ],
      providers: [noting('root', log)],
    })
    class AppModule {}
    noteOurs(log);
    return AppModule;
  };

  it.each([
    ['an HTTP application', async (type: Type) => (await NestFactory.create(type, { logger: false })).init()],
    [
      'a standalone application',
      (type: Type) => NestFactory.createApplicationContext(type, { logger: false }),
    ],
    [
      'a testing module',
      async (type: Type) => (await Test.createTestingModule({ imports: [type] }).compile()).init(),
    ],
  ])('put the worker pools last at start and first at shutdown: %s', async (_kind, start) => {
    const log: string[] = [];
    const app = await start(await rootModule(log, true));
    expect(log.splice(0).join(' ')).toBe(STARTED);
    await app.close();
    expect(log.join(' ')).toBe(CLOSED);
  });

  it('keep that order when the module is not global', async () => {
    const log: string[] = [];
    const app = await NestFactory.createApplicationContext(await rootModule(log, false), { logger: false });
    expect(log.splice(0).join(' ')).toBe(STARTED);
    await app.close();
    expect(log.join(' ')).toBe(CLOSED);
  });

  it('leave nothing behind when the application is compiled and closed, but never started', async () => {
    const log: string[] = [];
    const module = await Test.createTestingModule({ imports: [await rootModule(log, true)] }).compile();
    await module.close();
    expect(log.join(' ')).toBe(CLOSED);
  });
});

describe('an application', () => {
  it('can enqueue from the hooks of any module, and runs those jobs when everything is initialised', async () => {
    const log: string[] = [];
    @Injectable()
    class Early {
      constructor(private readonly publisher: PublisherService) {}
      async onModuleInit() {
        await this.publisher.enqueue('mail', { from: 'early' });
        log.push('early enqueued');
      }
    }
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send({ from }: { from: string }) {
        log.push(`handled ${from}`);
      }
    }
    @Injectable()
    class Late {
      async onApplicationBootstrap() {
        log.push('late booted');
      }
    }
    // A global module that comes before ours, so its hook is the first of all.
    await nestAppWithFirst(providing(Early, { global: true }), [Handlers, Late]);
    await eventually(() => log.length === 3);
    expect(log).toEqual(['early enqueued', 'late booted', 'handled early']);
  });

  it('drains when it closes: jobs end, may still enqueue, and use what is not destroyed yet', async () => {
    const hold = gate();
    @Injectable()
    class Store {
      open = true;
      onModuleDestroy() {
        this.open = false;
      }
    }
    const seen: unknown[] = [];
    @Injectable()
    class Handlers {
      constructor(
        private readonly store: Store,
        private readonly publisher: PublisherService,
      ) {}
      @QueueHandler('parent')
      async parent() {
        await hold.pass();
        const child = await this.publisher.enqueue('child');
        seen.push(this.store.open, child.queue);
      }
    }
    const { app, database, get, publisher } = await nestApp({ providers: [Store, Handlers] });
    await publisher.enqueue('parent');
    await hold.reached();
    expect(get(TaskmasterRuntime)).toMatchObject({ state: 'running', running: 1 });

    const closing = app.close();
    await eventually(() => get(TaskmasterRuntime).state === 'draining');
    hold.open();
    await closing;

    expect(seen).toEqual([true, 'child']);
    expect(get(TaskmasterRuntime)).toMatchObject({ state: 'stopped', running: 0 });
    expect(await database.query(`select queue_name from ${database.schema}.jobs`)).toEqual([
      { queue_name: 'child' },
    ]);
  });

  it('aborts and hands back what does not end within the drain timeout', async () => {
    const hold = gate();
    @Injectable()
    class Handlers {
      @QueueHandler('endless')
      async handle(_payload: unknown, job: Job) {
        await hold.pass(job.signal);
      }
    }
    const { app, database, publisher } = await nestApp({
      providers: [Handlers],
      taskmaster: { shutdown: { drainTimeoutMs: 50 } },
    });
    await publisher.enqueue('endless');
    await hold.reached();
    await app.close();
    expect(await database.query(`select run_count from ${database.schema}.jobs`)).toEqual([{ run_count: 0 }]);
  });

  it.each(['refuse', 'blackhole'] as const)(
    'closes while its database is away (%s), in bounded time',
    async (fault) => {
      const hold = gate();
      @Injectable()
      class Handlers {
        @QueueHandler('endless')
        async handle() {
          await hold.pass();
        }
      }
      const database = await testDatabase();
      const { proxy, connection } = await faultyProxy(database);
      const options = taskmasterOptions(database, { connection, shutdown: { drainTimeoutMs: 200 } });
      const app = await createApp({ imports: [TaskmasterModule.forRoot(options)], providers: [Handlers] });
      await app.init();
      await app.get(PublisherService).enqueue('endless');
      await hold.reached();
      proxy[fault]();
      const before = performance.now();
      await app.close();
      expect(performance.now() - before).toBeLessThan(15_000);
      expect(app.get(TaskmasterRuntime)).toMatchObject({ state: 'stopped' });
    },
  );

  it('rejects what is enqueued after it has closed', async () => {
    const { app, publisher } = await nestApp();
    await app.close();
    await expect(publisher.enqueue('mail')).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });

  it('may be closed twice, and while it starts', async () => {
    const options = taskmasterOptions(await testDatabase());
    const app = await createApp({ imports: [TaskmasterModule.forRoot(options)] });
    const starting = app.init().catch(() => undefined); // it may, or may not, still become ready
    await expect(Promise.all([app.close(), app.close()])).resolves.toBeDefined();
    await starting;
    await expect(app.close()).resolves.toBeUndefined();
  });

  it('with autoStart false works only between start() and stop(), as often as one likes', async () => {
    const handled: number[] = [];
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send({ n }: { n: number }) {
        handled.push(n);
      }
    }
    const { database, get, publisher } = await nestApp({
      providers: [Handlers],
      taskmaster: { autoStart: false },
    });
    const runtime = get(TaskmasterRuntime);
    await publisher.enqueue('mail', { n: 1 });
    expect(runtime.state).toBe('idle');

    await Promise.all([runtime.start(), runtime.start()]);
    await eventually(() => handled.length === 1);
    await Promise.all([runtime.stop(), runtime.stop()]);
    expect(runtime.state).toBe('stopped');

    await publisher.enqueue('mail', { n: 2 });
    expect(await database.query(`select 1 from ${database.schema}.jobs`)).toHaveLength(1);
    await runtime.start();
    await eventually(() => handled.length === 2);
    expect(handled).toEqual([1, 2]);
  });

  it('says when it starts, drains and stops, until the end of the event stream', async () => {
    const types: TaskmasterEventType[] = [];
    const { app, get, publisher } = await nestApp();
    get(TaskmasterEvents).events$.subscribe({
      next: ({ type }) => types.push(type),
      complete: () => types.push('complete' as TaskmasterEventType),
    });
    await publisher.enqueue('mail');
    await app.close();
    expect(types).toEqual(['enqueued', 'engineDraining', 'engineStopped', 'complete']);
  });
});

/** An application in which a module comes before ours. */
async function nestAppWithFirst(first: DynamicModule, providers: Type[]): Promise<void> {
  const options = taskmasterOptions(await testDatabase());
  const app = await createApp({ imports: [first, TaskmasterModule.forRoot(options)], providers });
  await app.init();
}
