import { InvalidOptionsError } from '../engine/errors.js';
import type { BatchHandlerOptions, BatchOptions, HandlerOptions } from '../engine/job/handler.js';
import {
  boolean,
  check,
  listOf,
  object,
  oneOf,
  splitOptions,
  throwProblems,
  withDefaults,
  type Check,
  type Checks,
} from '../engine/option-checker.js';
import { checkBatchHandlerOptions, checkHandlerOptions, checkSchedule } from '../engine/option-checks.js';
import { TASKMASTER_DEFAULTS, type TaskmasterOptions } from '../engine/options.js';
import { taskmasterProblems } from '../engine/resolve-options.js';
import type { ScheduleDefinition } from '../engine/schedule/schedule-definition.js';
import type { QueueBatchHandlerOptions } from './decorators/queue-batch-handler.decorator.js';
import type { QueueHandlerOptions } from './decorators/queue-handler.decorator.js';
import type { ScheduledEntry } from './decorators/scheduled.decorator.js';
import type { EnhancerOptions } from './enhancers.js';
import { isMiddleware } from './middleware.chain.js';
import { MODULE_DEFAULTS, type TaskmasterModuleOptions } from './taskmaster.options.js';

/** The options of a module, divided into those of the engine and those of the Nest layer. */
export interface CheckedModuleOptions {
  readonly engine: TaskmasterOptions;
  readonly nest: NestOptions;
}

/** The options of a handler, divided in the same way. */
export interface CheckedHandlerOptions {
  readonly engine: HandlerOptions;
  readonly enhancers: EnhancerOptions | undefined;
}

/** The same of a handler of batches. */
export interface CheckedBatchHandlerOptions extends Pick<CheckedHandlerOptions, 'enhancers'> {
  readonly engine: BatchHandlerOptions;
  readonly batch: BatchOptions;
}

/** The options of the Nest layer, with their defaults. */
export type NestOptions = Required<
  Pick<
    TaskmasterModuleOptions,
    'autoStart' | 'batchMiddleware' | 'enhancers' | 'handleSignals' | 'logger' | 'middleware'
  >
>;

const enhancers = object({ pipes: boolean, interceptors: boolean, guards: boolean, filters: boolean });

function middlewareOf(subject: string): Check {
  const forms = `a function (${subject}, next), a class with a method use(${subject}, next), or an instance of one`;
  return listOf(check(forms, isMiddleware));
}

const MODULE_CHECKS = {
  autoStart: boolean,
  enhancers,
  handleSignals: oneOf('auto', 'off'),
  logger: boolean,
  middleware: middlewareOf('job'),
  batchMiddleware: middlewareOf('jobs'),
} satisfies Checks;

const instanceName = check('the name of an instance', (value) => typeof value === 'string' && value !== '');

const HANDLER_CHECKS = { enhancers, instance: instanceName } satisfies Checks;
const SCHEDULED_CHECKS = { instance: instanceName } satisfies Checks;

/** What `forRootAsync` takes; the rest comes from its factory. */
const ASYNC_KEYS = [
  'imports',
  'inject',
  'useFactory',
  'useClass',
  'useExisting',
  'provideInjectionTokensFrom',
  'name',
  'isGlobal',
];

/**
 * @param instance name of the instance, which is given beside the options
 * @throws InvalidOptionsError listing every problem
 */
export function checkedModuleOptions(
  instance: string,
  options: TaskmasterModuleOptions,
): CheckedModuleOptions {
  const name = check(
    `"${instance}", the name given beside the factory, or nothing`,
    (value) => value === instance,
  );
  throwProblems(
    `TaskmasterModule "${instance}"`,
    taskmasterProblems(options, process.env, { ...MODULE_CHECKS, name }),
  );
  const { own, rest } = splitOptions(options, MODULE_CHECKS);
  return {
    engine: rest as unknown as TaskmasterOptions,
    nest: withDefaults<NestOptions>(MODULE_DEFAULTS, own),
  };
}

/**
 * @param label `MailHandlers.send`
 * @throws InvalidOptionsError listing every problem
 */
export function checkedHandlerOptions(label: string, options: QueueHandlerOptions): CheckedHandlerOptions {
  checkHandlerOptions(`@QueueHandler() ${label}`, options, HANDLER_CHECKS);
  const { own, rest } = splitOptions(options, HANDLER_CHECKS);
  return { engine: rest, enhancers: own['enhancers'] as EnhancerOptions | undefined };
}

/**
 * @param label `@Scheduled() DigestHandlers.write`
 * @throws InvalidOptionsError listing every problem
 */
export function checkedSchedule(
  label: string,
  { when, options }: ScheduledEntry,
): { readonly definition: ScheduleDefinition; readonly instance: string } {
  const timing = typeof when === 'object' ? when : { cron: when };
  const given: unknown = { ...options, ...timing };
  checkSchedule(label, given, SCHEDULED_CHECKS);
  const { own, rest } = splitOptions(given, SCHEDULED_CHECKS);
  return {
    definition: rest as unknown as ScheduleDefinition,
    instance: (own['instance'] as string | undefined) ?? TASKMASTER_DEFAULTS.name,
  };
}

/**
 * @param label `MailHandlers.sendAll`
 * @throws InvalidOptionsError listing every problem
 */
export function checkedBatchHandlerOptions(
  label: string,
  options: QueueBatchHandlerOptions,
): CheckedBatchHandlerOptions {
  checkBatchHandlerOptions(`@QueueBatchHandler() ${label}`, options, HANDLER_CHECKS);
  const { size, waitMs, ...others } = options;
  const { own, rest } = splitOptions(others, HANDLER_CHECKS);
  return {
    engine: rest,
    batch: { size, ...(waitMs === undefined ? {} : { waitMs }) },
    enhancers: own['enhancers'] as EnhancerOptions | undefined,
  };
}

/** @throws InvalidOptionsError for options of the instance that are given where its factory is */
export function checkAsyncOptions(options: object): void {
  const unknown = Object.keys(options).filter((key) => !ASYNC_KEYS.includes(key));
  const problems = unknown.map(
    (key) => `${key}: unknown here; options of Taskmaster are returned by the factory`,
  );
  if (!['useFactory', 'useClass', 'useExisting'].some((key) => key in options)) {
    problems.push('one of useFactory, useClass and useExisting is needed');
  }
  if (problems.length > 0) throw new InvalidOptionsError('TaskmasterModule.forRootAsync()', problems);
}
