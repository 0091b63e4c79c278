import { ConfigurableModuleBuilder, type DynamicModule, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { InvalidOptionsError } from '../engine/errors.js';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { HandlerExplorer } from './handler.explorer.js';
import { HandlerInvoker } from './handler.invoker.js';
import { JobEventBinder } from './job-event.binder.js';
import { ScheduleExplorer } from './schedule.explorer.js';
import { TaskmasterCore } from './taskmaster.core.js';
import { TaskmasterCoreModule } from './taskmaster.core.module.js';
import { TaskmasterLifecycle } from './taskmaster.lifecycle.js';
import {
  INSTANCE_NAME,
  MODULE_OPTIONS,
  type TaskmasterModuleExtras,
  type TaskmasterModuleOptions,
} from './taskmaster.options.js';
import { TaskmasterRuntimeModule } from './taskmaster.runtime.module.js';
import {
  getCoreToken,
  getTaskmasterPoolToken,
  getTaskmasterToken,
  INSTANCE_SERVICES,
  type InstanceService,
} from './taskmaster.tokens.js';

const EXTRAS: Required<TaskmasterModuleExtras> = { name: TASKMASTER_DEFAULTS.name, isGlobal: true };

/** `forRoot` and `forRootAsync`, made by Nest's builder. */
export const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<TaskmasterModuleOptions>({ optionsInjectionToken: MODULE_OPTIONS })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createTaskmasterOptions')
    .setExtras<TaskmasterModuleExtras>(EXTRAS, instanceModule)
    .build();

/**
 * Three modules for an instance: the one the application imports, which only passes things on; one for the engine and its services,
 * and one for the worker pools, because their hooks must run at opposite ends of the application's life.
 */
function instanceModule(definition: DynamicModule, extras: TaskmasterModuleExtras): DynamicModule {
  const { name = EXTRAS.name, isGlobal = EXTRAS.isGlobal } = extras;
  const core = coreModule(name, definition);
  return {
    module: definition.module,
    global: isGlobal,
    imports: [core, runtimeModule(name, core)],
    exports: [core],
  };
}

function coreModule(name: string, { imports = [], providers = [] }: DynamicModule): DynamicModule {
  return {
    module: TaskmasterCoreModule,
    imports,
    providers: [
      ...providers.map((provider) => bounded(name, provider)),
      { provide: INSTANCE_NAME, useValue: name },
      TaskmasterCore,
      { provide: getCoreToken(name), useExisting: TaskmasterCore },
      {
        provide: getTaskmasterPoolToken(name),
        useFactory: (core: TaskmasterCore) => core.engine.pool,
        inject: [TaskmasterCore],
      },
      ...INSTANCE_SERVICES.map((service) => serviceProvider(name, service)),
    ],
    exports: [
      getCoreToken(name),
      getTaskmasterPoolToken(name),
      ...INSTANCE_SERVICES.map((service) => getTaskmasterToken(name, service)),
    ],
  };
}

/**
 * Only the default instance has its services under their classes: `app.get(PublisherService)` looks through all
 * modules, and would find those of any instance.
 */
function serviceProvider(name: string, service: InstanceService): Provider {
  return {
    provide: getTaskmasterToken(name, service),
    useFactory: (core: TaskmasterCore) => new service(core),
    inject: [TaskmasterCore],
  };
}

/** How long a factory may take to make the options. */
const FACTORY_LIMIT_MS = 60_000;

/** The boot fails when the factory of the options never answers; Node would end without a word. */
function bounded(name: string, provider: Provider): Provider {
  if (!('useFactory' in provider) || provider.provide !== MODULE_OPTIONS) return provider;
  const { useFactory } = provider;
  return {
    ...provider,
    useFactory: async (...dependencies: unknown[]): Promise<unknown> => {
      const limit = deadline(FACTORY_LIMIT_MS, () => {
        const problem = `its options did not come within ${FACTORY_LIMIT_MS} ms: the factory given to forRootAsync() does not answer`;
        return new InvalidOptionsError(`TaskmasterModule "${name}"`, [problem]);
      });
      try {
        return await Promise.race([useFactory(...dependencies), limit.passed]);
      } finally {
        limit.cancel();
      }
    },
  };
}

function deadline(ms: number, error: () => Error): { passed: Promise<never>; cancel: () => void } {
  let timer: NodeJS.Timeout;
  const passed = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(error()), ms);
  });
  return { passed, cancel: () => clearTimeout(timer) };
}

function runtimeModule(name: string, core: DynamicModule): DynamicModule {
  return {
    module: TaskmasterRuntimeModule,
    imports: [core, DiscoveryModule],
    providers: [
      { provide: TaskmasterCore, useExisting: getCoreToken(name) },
      HandlerExplorer,
      ScheduleExplorer,
      HandlerInvoker,
      JobEventBinder,
      TaskmasterLifecycle,
    ],
  };
}
