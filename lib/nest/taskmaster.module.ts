import { Module, type DynamicModule } from '@nestjs/common';
import { checkAsyncOptions } from './module-options.checks.js';
import {
  ConfigurableModuleClass,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './taskmaster.module-definition.js';

/**
 * Background jobs for a Nest application.
 *
 * ```ts
 * @Module({ imports: [TaskmasterModule.forRoot({ connection: process.env.DATABASE_URL })] })
 * export class AppModule {}
 * ```
 *
 * Imported more than once, each import needs a `name` of its own.
 */
@Module({})
export class TaskmasterModule extends ConfigurableModuleClass {
  /** With options that are known. Wrong ones stop the boot with `TM_INVALID_OPTIONS`. */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return super.forRoot(options);
  }

  /** With options from a factory, `useFactory`, or a class with `createTaskmasterOptions()`, `useClass` or `useExisting`. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkAsyncOptions(options);
    return super.forRootAsync(options);
  }
}
