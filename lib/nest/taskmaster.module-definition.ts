import { ConfigurableModuleBuilder, type DynamicModule, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { HandlerExplorer } from './handler.explorer.js';
import { HandlerInvoker } from './handler.invoker.js';
import { JobEventBinder } from './job-event.binder.js';
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
      ...providers,
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

function runtimeModule(name: string, core: DynamicModule): DynamicModule {
  return {
    module: TaskmasterRuntimeModule,
    imports: [core, DiscoveryModule],
    providers: [
      { provide: TaskmasterCore, useExisting: getCoreToken(name) },
      HandlerExplorer,
      HandlerInvoker,
      JobEventBinder,
      TaskmasterLifecycle,
    ],
  };
}
