import { queueName } from './option-checks.js';
import { problemsOf, throwProblems, withDefaults } from './option-checker.js';
import type { Checks } from './option-checker.js';
import {
  LEASE_DEFAULTS,
  LISTEN_DEFAULTS,
  QUEUE_DEFAULTS,
  SHUTDOWN_DEFAULTS,
  TASKMASTER_DEFAULTS,
} from './options.js';
import type { ResolvedOptions, TaskmasterOptions } from './options.js';
import { TASKMASTER_CHECKS } from './taskmaster-checks.js';

/** The part of `process.env` that has a say in options. */
export interface OptionsEnvironment {
  /** `off`: no queues, `*`: all, otherwise their names separated by commas. Wins over `consume`; blank counts as not set. */
  readonly TASKMASTER_CONSUME?: string | undefined;
  /** `production`: hints for development are off. */
  readonly NODE_ENV?: string | undefined;
}

/**
 * Checks options and fills in the defaults. No I/O.
 *
 * @param env usually `process.env`
 * @throws InvalidOptionsError listing every problem
 */
export function resolveOptions(options: TaskmasterOptions, env: OptionsEnvironment): ResolvedOptions {
  throwProblems('Taskmaster', taskmasterProblems(options, env));
  const { connection, consume, middleware = [], batchMiddleware = [], queues = [], transaction } = options;
  return Object.freeze({
    ...simpleOptions(options),
    ...(env.NODE_ENV === 'production' && { warnOutsideTransaction: false }),
    connection,
    consumes: consumesOf(selectionIn(env.TASKMASTER_CONSUME) ?? consume ?? TASKMASTER_DEFAULTS.consume),
    listen: withDefaults<ResolvedOptions['listen']>(LISTEN_DEFAULTS, options.listen),
    defaults: withDefaults<ResolvedOptions['defaults']>(QUEUE_DEFAULTS, options.defaults),
    lease: withDefaults<ResolvedOptions['lease']>(LEASE_DEFAULTS, options.lease),
    shutdown: withDefaults<ResolvedOptions['shutdown']>(SHUTDOWN_DEFAULTS, options.shutdown),
    middleware,
    batchMiddleware,
    queues,
    transaction,
  });
}

/**
 * All that is wrong with options of the engine, and with the environment.
 *
 * @param extra checks of options that a layer above adds to them; one of the same name replaces the engine's
 */
export function taskmasterProblems(options: unknown, env: OptionsEnvironment, extra: Checks = {}): string[] {
  const problems = problemsOf(options, { ...TASKMASTER_CHECKS, ...extra }, ['connection']);
  checkVariable(selectionIn(env.TASKMASTER_CONSUME), problems);
  return problems;
}

type Selection = NonNullable<TaskmasterOptions['consume']>;

/** What TASKMASTER_CONSUME selects; `undefined` when it is not set, or blank. */
function selectionIn(variable: string | undefined): boolean | string[] | undefined {
  const selection = variable?.trim();
  if (selection === undefined || selection === '') return undefined;
  if (selection === 'off') return false;
  if (selection === '*') return true;
  return selection
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function checkVariable(selection: boolean | string[] | undefined, problems: string[]): void {
  if (typeof selection !== 'object') return;
  const report = (problem: string) => problems.push(`TASKMASTER_CONSUME: ${problem}`);
  if (selection.length === 0) report('expected off, * or queue names, got commas only');
  selection.forEach((name, index) => queueName(name, `TASKMASTER_CONSUME[${index}]`, problems));
  for (const alone of selection.filter((name) => name === 'off' || name === '*')) {
    report(`"${alone}" stands alone; a queue of that name is selected by the option "consume"`);
  }
}

/** The options that are the same before and after, but for the default. */
type SimpleKey = Exclude<keyof typeof TASKMASTER_DEFAULTS, 'consume'>;
type SimpleOptions = Pick<ResolvedOptions, SimpleKey>;

function simpleOptions(options: TaskmasterOptions): SimpleOptions {
  const all = withDefaults<SimpleOptions>(TASKMASTER_DEFAULTS, options);
  const { name, schema, migrations, connectTimeoutMs, connect } = all;
  const { maxPayloadBytes, preparedStatements, warnOutsideTransaction } = all;
  return {
    name,
    schema,
    migrations,
    connectTimeoutMs,
    connect,
    maxPayloadBytes,
    preparedStatements,
    warnOutsideTransaction,
  };
}

function consumesOf(selection: Selection): (queue: string) => boolean {
  if (typeof selection === 'boolean') return () => selection;
  if ('except' in selection) {
    const excluded = new Set(selection.except);
    return (queue) => !excluded.has(queue);
  }
  const included = new Set(selection);
  return (queue) => included.has(queue);
}
