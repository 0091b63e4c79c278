import type { Type } from '@nestjs/common';
import type { ConnectionOption, TaskmasterOptions } from '../engine/options.js';
import type { BatchMiddleware, Middleware } from '../engine/worker/middleware.js';
import type { EnhancerOptions } from './enhancers.js';
import type { JobBatchMiddleware, JobMiddleware } from './job.middleware.js';

/** Options of `TaskmasterModule`: those of the engine, and what only a Nest application has. */
export interface TaskmasterModuleOptions extends Omit<
  TaskmasterOptions,
  'name' | 'connection' | 'middleware' | 'batchMiddleware'
> {
  /** How to reach PostgreSQL. Required; `undefined`, as of a variable that is not set, stops the boot. */
  readonly connection: ConnectionOption | undefined;
  /** `false`: nothing is worked on until `TaskmasterRuntime.start()` is called. @default true */
  readonly autoStart?: boolean;
  /** Which of Nest's global enhancers apply to handlers. @default pipes and interceptors */
  readonly enhancers?: EnhancerOptions;
  /**
   * Wrapped around every handler of single jobs and its enhancers; the first is outermost. A class is injected: the provider
   * of that class if there is one, otherwise an instance made for the purpose. @default []
   */
  readonly middleware?: readonly (Middleware | JobMiddleware | Type<JobMiddleware>)[];
  /** The same around handlers of batches. @default [] */
  readonly batchMiddleware?: readonly (BatchMiddleware | JobBatchMiddleware | Type<JobBatchMiddleware>)[];
  /**
   * `auto`: at SIGTERM and SIGINT running jobs are drained, also in an application without `enableShutdownHooks()`, and
   * a second signal hands them back at once. `off`: signals are left to you. @default 'auto'
   */
  readonly handleSignals?: 'auto' | 'off';
  /** `false`: write no log lines about jobs and the engine; its events remain. @default true */
  readonly logger?: boolean;
}

/** Made by a class given to `forRootAsync` as `useClass` or `useExisting`. */
export interface TaskmasterOptionsFactory {
  createTaskmasterOptions(): TaskmasterModuleOptions | Promise<TaskmasterModuleOptions>;
}

/** What must be known of an instance before its options are: given beside them, also to `forRootAsync`. */
export interface TaskmasterModuleExtras {
  /**
   * Name of this instance. The services of the default one are injected by their class, those of another by
   * `@InjectPublisher(name)` and `@InjectTaskmaster(name)`. @default 'default'
   */
  readonly name?: string;
  /** Whether its services can be injected everywhere without importing the module again. @default true */
  readonly isGlobal?: boolean;
}

/** The defaults of what {@link TaskmasterModuleOptions} adds to the engine's options. */
export const MODULE_DEFAULTS = Object.freeze({
  autoStart: true,
  enhancers: {},
  handleSignals: 'auto',
  logger: true,
  middleware: [],
  batchMiddleware: [],
} as const);

/** Token of the options of an instance, within its module. @internal */
export const MODULE_OPTIONS = Symbol.for('taskmaster:options');

/** Token of the name of an instance, within its module. @internal */
export const INSTANCE_NAME = Symbol.for('taskmaster:name');
