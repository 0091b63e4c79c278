import { Inject, Injectable, Module } from '@nestjs/common';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ConsumerRegistry,
  getPublisherToken,
  getTaskmasterPoolToken,
  getTaskmasterToken,
  InjectPublisher,
  InjectTaskmaster,
  InjectTaskmasterPool,
  OnJobEvent,
  PublisherService,
  QueueHandler,
  TaskmasterEvents,
  TaskmasterHealth,
  TaskmasterModule,
  TaskmasterRuntime,
  type CompletedEvent,
  type Job,
  type TaskmasterModuleOptions,
  type TaskmasterOptionsFactory,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { createApp, taskmasterOptions } from './support/nest-app.js';

/** Notes what it handles. */
function handlersOf(queue: string, handled: string[], instance?: string) {
  @Injectable()
  class Handlers {
    @QueueHandler(queue, instance === undefined ? {} : { instance })
    handle(payload: unknown, job: Job) {
      handled.push(`${job.queue} ${String(payload)}`);
    }
  }
  return Handlers;
}

describe('TaskmasterModule.forRootAsync', () => {
  const CONFIG = 'CONFIG';
  const setup = async () => {
    const options = taskmasterOptions(await testDatabase());
    @Module({ providers: [{ provide: CONFIG, useValue: options }], exports: [CONFIG] })
    class ConfigModule {}
    @Injectable()
    class Factory implements TaskmasterOptionsFactory {
      constructor(@Inject(CONFIG) private readonly config: TaskmasterModuleOptions) {}
      async createTaskmasterOptions() {
        return this.config;
      }
    }
    @Module({ imports: [ConfigModule], providers: [Factory], exports: [Factory] })
    class FactoryModule {}
    return { ConfigModule, Factory, FactoryModule };
  };

  it.each(['useFactory', 'useClass', 'useExisting'] as const)('takes options by %s', async (way) => {
    const { ConfigModule, Factory, FactoryModule } = await setup();
    const module = {
      useFactory: () =>
        TaskmasterModule.forRootAsync({
          imports: [ConfigModule],
          inject: [CONFIG],
          useFactory: async (config: TaskmasterModuleOptions) => config,
        }),
      useClass: () => TaskmasterModule.forRootAsync({ imports: [ConfigModule], useClass: Factory }),
      useExisting: () => TaskmasterModule.forRootAsync({ imports: [FactoryModule], useExisting: Factory }),
    }[way]();
    const handled: string[] = [];
    const app = await createApp({ imports: [module], providers: [handlersOf('mail', handled)] });
    await app.init();
    await app.get(PublisherService).enqueue('mail', 'x');
    await eventually(() => handled.length === 1);
  });
});

describe('the default instance', () => {
  it('offers its services by class, everywhere', async () => {
    @Injectable()
    class Everything {
      constructor(
        readonly publisher: PublisherService,
        readonly runtime: TaskmasterRuntime,
        readonly registry: ConsumerRegistry,
        readonly events: TaskmasterEvents,
        readonly health: TaskmasterHealth,
        @InjectTaskmasterPool() readonly pool: pg.Pool,
        @InjectPublisher() readonly samePublisher: PublisherService,
        @InjectTaskmaster() readonly sameRuntime: TaskmasterRuntime,
        @InjectTaskmaster(undefined, TaskmasterEvents) readonly sameEvents: TaskmasterEvents,
      ) {}
    }
    @Module({ providers: [Everything] })
    class Feature {}
    const options = taskmasterOptions(await testDatabase());
    const app = await createApp({ imports: [TaskmasterModule.forRoot(options), Feature] });
    await app.init();

    const all = app.get(Everything);
    expect(all.publisher).toBeInstanceOf(PublisherService);
    expect(all.samePublisher).toBe(all.publisher);
    expect(all.sameRuntime).toBe(all.runtime);
    expect(all.sameEvents).toBe(all.events);
    expect(all.registry.list()).toEqual([]);
    expect(await all.health.check()).toMatchObject({ status: 'up' });
    expect((await all.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('is for those who import it when it is not global', async () => {
    @Injectable()
    class Service {
      constructor(readonly publisher: PublisherService) {}
    }
    const module = TaskmasterModule.forRoot({ ...taskmasterOptions(await testDatabase()), isGlobal: false });
    @Module({ imports: [module], providers: [Service] })
    class Importing {}
    @Module({ providers: [Service] })
    class NotImporting {}

    const app = await createApp({ imports: [module, Importing] });
    await app.init();
    expect(app.get(Service).publisher).toBeInstanceOf(PublisherService);
    await expect(createApp({ imports: [module, NotImporting] })).rejects.toThrow(/PublisherService/);
  });

  it('borrows a pool without ending it', async () => {
    const database = await testDatabase();
    const pool = new pg.Pool({ ...database.config, max: 5 });
    onTestFinished(() => pool.end());
    const options = { ...taskmasterOptions(database), connection: { pool } };
    const app = await createApp({ imports: [TaskmasterModule.forRoot(options)] });
    await app.init();
    expect(app.get(getTaskmasterPoolToken())).toBe(pool);
    await app.close();
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('named instances', () => {
  it('have handlers, publishers and events of their own', async () => {
    const [main, reports] = [await testDatabase(), await testDatabase()];
    const handled: string[] = [];
    const completed: string[] = [];
    @Injectable()
    class Reports {
      constructor(
        readonly mainPublisher: PublisherService,
        @InjectPublisher('reports') readonly publisher: PublisherService,
        @InjectTaskmaster('reports') readonly runtime: TaskmasterRuntime,
        @InjectTaskmaster('reports', ConsumerRegistry) readonly registry: ConsumerRegistry,
        @InjectTaskmasterPool('reports') readonly pool: pg.Pool,
      ) {}
      @OnJobEvent('completed', undefined, { instance: 'reports' })
      onCompleted({ instance, queue }: CompletedEvent) {
        completed.push(`${instance} ${queue}`);
      }
    }
    const app = await createApp({
      imports: [
        TaskmasterModule.forRoot(taskmasterOptions(main)),
        TaskmasterModule.forRootAsync({ name: 'reports', useFactory: () => taskmasterOptions(reports) }),
      ],
      providers: [Reports, handlersOf('same', handled), handlersOf('own', handled, 'reports')],
    });
    await app.init();
    const service = app.get(Reports);
    expect(service.registry.list()).toMatchObject([{ queue: 'own', instance: 'reports' }]);
    expect(app.get(ConsumerRegistry).list()).toMatchObject([{ queue: 'same', instance: 'default' }]);
    expect(app.get(getPublisherToken('reports'))).toBe(service.publisher);
    expect(app.get(getTaskmasterToken('reports'))).toBe(service.runtime);
    expect((await service.pool.query('select current_database() as name')).rows).toEqual([
      { name: reports.name },
    ]);

    await service.publisher.enqueue('own', 'reports');
    await service.publisher.enqueue('same', 'nobody here');
    await service.mainPublisher.enqueue('same', 'main');
    await eventually(() => handled.length === 2 && completed.length === 1);
    expect(handled.toSorted()).toEqual(['own reports', 'same main']);
    expect(completed).toEqual(['reports own']);
    const rows = await reports.query(`select queue_name from ${reports.schema}.jobs`);
    expect(rows).toEqual([{ queue_name: 'same' }]);
  });

  it('drain at the same time', async () => {
    const ended: string[] = [];
    const [main, reports] = [await testDatabase(), await testDatabase()];
    const app = await createApp({
      imports: [
        TaskmasterModule.forRoot(taskmasterOptions(main)),
        TaskmasterModule.forRoot({ ...taskmasterOptions(reports), name: 'reports' }),
      ],
      providers: [crossing('mail'), crossing('report', 'reports')],
    });
    await app.init();
    await app.get(PublisherService).enqueue('mail');
    await app.get<PublisherService>(getPublisherToken('reports')).enqueue('report');
    const runtimes = [app.get(TaskmasterRuntime), app.get<TaskmasterRuntime>(getTaskmasterToken('reports'))];
    await eventually(() => runtimes.every(({ running }) => running === 1));
    // Each job ends only when the other instance drains too, so one after the other would never end.
    await app.close();
    expect(ended.toSorted()).toEqual(['mail', 'report']);
    expect(runtimes.map(({ state }) => state)).toEqual(['stopped', 'stopped']);

    function crossing(queue: string, instance = 'default') {
      @Injectable()
      class Crossing {
        @QueueHandler(queue, { instance })
        async handle() {
          await eventually(() => runtimes.every(({ state }) => state === 'draining'));
          ended.push(queue);
        }
      }
      return Crossing;
    }
  });
});

describe('two applications in one process', () => {
  it('share nothing', async () => {
    const start = async () => {
      const handled: string[] = [];
      const options = taskmasterOptions(await testDatabase());
      const app = await createApp({
        imports: [TaskmasterModule.forRoot(options)],
        providers: [handlersOf('mail', handled)],
      });
      await app.init();
      return { app, handled, publisher: app.get(PublisherService) };
    };
    const [one, two] = [await start(), await start()];
    await one.publisher.enqueue('mail', 'one');
    await two.publisher.enqueue('mail', 'two');
    await eventually(() => one.handled.length === 1 && two.handled.length === 1);
    await one.app.close();
    await two.publisher.enqueue('mail', 'after');
    await eventually(() => two.handled.length === 2);
    expect([one.handled, two.handled]).toEqual([['mail one'], ['mail two', 'mail after']]);
  });
});
