import { ConfigurableModuleBuilder, type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { dashboardController } from './dashboard.controller.js';
import {
  DASHBOARD_DEFAULTS,
  type DashboardModuleExtras,
  type DashboardModuleOptions,
  type DashboardOptions,
} from './dashboard.options.js';
import { DashboardServer } from './dashboard.server.js';
import { DASHBOARD_EXTRAS, DASHBOARD_OPTIONS } from './dashboard.tokens.js';

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<DashboardOptions>({
  optionsInjectionToken: DASHBOARD_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createDashboardOptions')
  .build();

/** Makes the options of a dashboard, for `useClass` and `useExisting`. */
export interface DashboardOptionsFactory {
  createDashboardOptions(): DashboardOptions | Promise<DashboardOptions>;
}

/** Options that are made by injection. Path and guards are known before that. */
export interface DashboardAsyncOptions extends DashboardModuleExtras, Pick<ModuleMetadata, 'imports'> {
  readonly useFactory?: (...args: never[]) => DashboardOptions | Promise<DashboardOptions>;
  readonly useClass?: new (...args: never[]) => DashboardOptionsFactory;
  readonly useExisting?: new (...args: never[]) => DashboardOptionsFactory;
  readonly inject?: readonly unknown[];
}

/**
 * The dashboard, at `/admin/jobs` unless told otherwise. It is closed until somebody stands before it: `guards` of the application,
 * `auth: basicAuth({ users })`, or `access: (request) => …`.
 */
@Module({})
export class TaskmasterDashboardModule {
  /** @throws InvalidOptionsError, DashboardOpenError when the application starts */
  static forRoot({ path, guards, instance, ...options }: DashboardModuleOptions = {}): DynamicModule {
    return moduleOf(ConfigurableModuleClass.forRoot(options), extrasOf({ path, guards, instance }));
  }

  /** @throws InvalidOptionsError, DashboardOpenError when the application starts */
  static forRootAsync({ path, guards, instance, ...options }: DashboardAsyncOptions): DynamicModule {
    return moduleOf(
      ConfigurableModuleClass.forRootAsync(options as never),
      extrasOf({ path, guards, instance }),
    );
  }
}

/** What is not given is not there. */
function extrasOf(given: {
  readonly [Key in keyof DashboardModuleExtras]: DashboardModuleExtras[Key] | undefined;
}): DashboardModuleExtras {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function moduleOf(
  { imports = [], providers = [] }: DynamicModule,
  extras: DashboardModuleExtras,
): DynamicModule {
  return {
    module: TaskmasterDashboardModule,
    imports,
    controllers: [dashboardController(extras.path ?? DASHBOARD_DEFAULTS.path, extras.guards ?? [])],
    providers: [...providers, { provide: DASHBOARD_EXTRAS, useValue: extras }, DashboardServer],
  };
}
