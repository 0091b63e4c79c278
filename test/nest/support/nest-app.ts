import type { INestApplication, ModuleMetadata, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { onTestFinished } from 'vitest';
import {
  PublisherService,
  TaskmasterModule,
  type AnyQueue,
  type EnqueueOptions,
  type TaskmasterModuleOptions,
} from '../../../lib/index.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { within } from '../../support/within.js';
import { Attempts, type Ending } from './attempts.js';

/** What {@link nestApp} builds. */
export interface NestAppOptions extends Pick<ModuleMetadata, 'controllers' | 'imports' | 'providers'> {
  readonly taskmaster?: Partial<TaskmasterModuleOptions>;
  /** Called between creation and start, as `main.ts` does with `app.useGlobalPipes()`. */
  readonly configure?: (app: INestApplication) => void;
}

/** A Nest application with one database, that runs jobs. */
export interface NestApp {
  readonly app: INestApplication;
  readonly database: TestDatabase;
  readonly publisher: PublisherService;
  get<T>(type: Type<T>): T;
  /** Enqueues a job and resolves when its first attempt has ended. */
  run(queue: AnyQueue, payload?: unknown, options?: EnqueueOptions): Promise<Ending>;
}

/** Options of the module that suit tests: no lines, no thread for each application. */
export function taskmasterOptions(
  database: TestDatabase,
  options: Partial<TaskmasterModuleOptions> = {},
): TaskmasterModuleOptions {
  return {
    connection: database.config,
    schema: database.schema,
    logger: false,
    lease: { heartbeat: 'main' },
    ...options,
  };
}

/** Starts an application; it is closed after the test. */
export async function nestApp(options: NestAppOptions = {}): Promise<NestApp> {
  const database = await testDatabase();
  const attempts = new Attempts();
  const middleware = [attempts.middleware, ...(options.taskmaster?.middleware ?? [])];
  const taskmaster = taskmasterOptions(database, { ...options.taskmaster, middleware });
  const imports = [TaskmasterModule.forRoot(taskmaster), ...(options.imports ?? [])];
  const app = await createApp({ ...options, imports });
  options.configure?.(app);
  await app.init();
  const publisher = app.get(PublisherService);
  return {
    app,
    database,
    publisher,
    get: (type) => app.get(type),
    run: async (queue, payload, enqueueOptions) => {
      const job = await publisher.enqueue(queue, payload, enqueueOptions);
      return within(10_000, `the end of an attempt at job ${job.id}`, attempts.of(job.id));
    },
  };
}

/** An application that is not started yet; it is closed after the test, also when it never is. */
export async function createApp(metadata: ModuleMetadata): Promise<INestApplication> {
  const { controllers = [], imports = [], providers = [] } = metadata;
  const module = await Test.createTestingModule({ controllers, imports, providers }).compile();
  const app = module.createNestApplication();
  onTestFinished(() => app.close());
  return app;
}
