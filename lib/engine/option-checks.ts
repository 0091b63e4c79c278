import { types } from 'node:util';
import { storageProblem } from './codec/stored-text.js';
import type { BatchHandlerRegistration, HandlerOptions } from './job/handler.js';
import { upcasterProblems } from './job/payload-version.js';
import type { DtoOptions, PayloadOptions, QueueDefinitionOptions } from './job/queue-definition.js';
import type { AnyQueue } from './job/queue.js';
import { queueNameProblem } from './job/queue-name.js';
import { cronProblem, isTimeZone, MAX_CRON_LENGTH } from './schedule/cron-timing.js';
import { SCHEDULE_DEFAULTS, type ScheduleDefinition } from './schedule/schedule-definition.js';
import {
  boolean,
  callable,
  check,
  integer,
  isObject,
  listOf,
  object,
  oneOf,
  problem,
  problemsOf,
  throwProblems,
  timeout,
} from './option-checker.js';
import type { Check, Checks } from './option-checker.js';
import type { EnqueueOptions, NewJob } from './publisher/enqueue-options.js';
import { BACKOFF_POLICY_DEFAULTS, MAX_DELAY_MS } from './retry/retry-delay.js';

const MAX_CONCURRENCY = 10_000;
const MAX_ATTEMPTS = 1_000_000;
const MAX_TAGS = 20;
const MAX_LIMIT = 1_000_000_000;
const MAX_KEY_BYTES = 256;
const MAX_DEPENDENCIES = 10_000;
const MAX_ERROR_RULES = 100;
const MAX_BATCH_SIZE = 10_000;
const MAX_VERSION = 1_000;
const MAX_ALIASES = 100;
const MAX_BATCH_WAIT_MS = 3_600_000;

const delay = integer(0, MAX_DELAY_MS);
const delays = listOf(delay, { min: 1, max: 1_000 });
const policy = object(
  { type: oneOf('fixed', 'linear', 'exponential'), delayMs: delay, maxDelayMs: delay, jitter: boolean },
  ['type'],
);

/** A backoff that is data, and so can be stored with a job. */
const storedBackoff: Check = (value, at, problems) => {
  if (typeof value === 'number') return delay(value, at, problems);
  if (Array.isArray(value)) return delays(value, at, problems);
  if (isObject(value)) return checkPolicy(value, at, problems);
  problems.push(
    problem(at, 'milliseconds, an array of them, or { type, delayMs, maxDelayMs, jitter }', value),
  );
};

function checkPolicy(value: Record<string, unknown>, at: string, problems: string[]): void {
  policy(value, at, problems);
  const delayMs = value['delayMs'] ?? BACKOFF_POLICY_DEFAULTS.delayMs;
  const maxDelayMs = value['maxDelayMs'] ?? BACKOFF_POLICY_DEFAULTS.maxDelayMs;
  if (typeof delayMs !== 'number' || typeof maxDelayMs !== 'number' || delayMs <= maxDelayMs) return;
  const origin = value['maxDelayMs'] === undefined ? ' (the default)' : '';
  problems.push(`${at}.maxDelayMs: expected at least delayMs (${delayMs}), got ${maxDelayMs}${origin}`);
}

const backoff: Check = (value, at, problems) => {
  if (typeof value !== 'function') storedBackoff(value, at, problems);
};

const schema = check('a Standard Schema, such as one of zod, valibot or arktype', (value) => {
  // Schemas of arktype are functions.
  const standard: unknown =
    isObject(value) || typeof value === 'function'
      ? (value as Record<string, unknown>)['~standard']
      : undefined;
  return isObject(standard) && typeof standard['validate'] === 'function';
});

const period = check(
  `an integer from 0 to ${MAX_DELAY_MS}, or Infinity`,
  (value) =>
    value === Infinity ||
    (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_DELAY_MS),
);
const limit: Check = (value, at, problems) => {
  if (typeof value !== 'function') integer(1, MAX_LIMIT)(value, at, problems);
};

const matcher = check(
  "an error class, an error's code or name, or a function",
  (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
);
const ruleFields = object(
  {
    match: matcher,
    reject: check('true', (value) => value === true),
    snoozeMs: delay,
    backoff,
    maxAttempts: integer(1, MAX_ATTEMPTS),
  },
  ['match'],
);

/** A rule for errors says one thing: reject, snooze, or how to try again. */
const errorRule: Check = (value, at, problems) => {
  ruleFields(value, at, problems);
  if (!isObject(value)) return;
  const given = (...keys: string[]) => keys.filter((key) => value[key] !== undefined);
  const said = [given('reject'), given('snoozeMs'), given('backoff', 'maxAttempts')].filter(
    (keys) => keys.length > 0,
  );
  if (said.length !== 1)
    problems.push(
      `${at}: expected one of reject, snoozeMs, or backoff and maxAttempts, got ${said.flat().join(' and ') || 'none'}`,
    );
};

const deadLetter: Check = (value, at, problems) => {
  if (value !== false) queueReference(value, at, problems);
};

/** The options of every queue; also the module's `defaults`. */
export const QUEUE_CHECKS = {
  concurrency: integer(1, MAX_CONCURRENCY),
  maxAttempts: integer(1, MAX_ATTEMPTS),
  backoff,
  timeoutMs: timeout(1),
  errors: listOf(errorRule, { max: MAX_ERROR_RULES }),
  deadLetter,
  retention: object({ completedMs: period, failedMs: period, cancelledMs: period }),
  onInvalid: oneOf('fail', 'retry'),
} satisfies Checks;

/** Options of definitions and handlers that hold jobs back. */
const LIMIT_CHECKS = {
  globalConcurrency: integer(1, MAX_LIMIT),
  keyConcurrency: object({ key: callable, limit }, ['key', 'limit']),
  rateLimit: object({ limit: integer(1, MAX_LIMIT), periodMs: integer(1, MAX_DELAY_MS), key: callable }, [
    'limit',
    'periodMs',
  ]),
  groupConcurrency: integer(1, MAX_LIMIT),
  onFailure: oneOf('skip', 'block'),
  maxPending: integer(1, MAX_LIMIT),
  ageing: object({ everyMs: integer(100, MAX_DELAY_MS) }, ['everyMs']),
} satisfies Checks;

const upcasters: Check = (value, at, problems) => {
  if (!isObject(value)) return void problems.push(problem(at, 'an object of functions by version', value));
  for (const [version, upcaster] of Object.entries(value)) callable(upcaster, `${at}[${version}]`, problems);
};

const reducers: Check = (value, at, problems) => {
  if (!isObject(value)) return void problems.push(problem(at, 'an object of functions by name', value));
  for (const [name, reducer] of Object.entries(value)) callable(reducer, `${at}.${name}`, problems);
};

/** Options of definitions and handlers about what is in a payload. */
const PAYLOAD_CHECKS = {
  version: integer(1, MAX_VERSION),
  upcasters,
  reducers,
  aliases: listOf(checkName, { max: MAX_ALIASES }),
  encryption: object({ encrypt: callable, decrypt: callable }, ['encrypt', 'decrypt']),
} satisfies Checks;

const dto = check('a class', (value) => typeof value === 'function');

const DEFINITION_CHECKS = { ...QUEUE_CHECKS, ...LIMIT_CHECKS, ...PAYLOAD_CHECKS, schema } satisfies Checks;
const HANDLER_CHECKS = {
  ...QUEUE_CHECKS,
  ...LIMIT_CHECKS,
  ...PAYLOAD_CHECKS,
  transactional: boolean,
} satisfies Checks;

const BATCH_CHECKS = {
  size: integer(1, MAX_BATCH_SIZE),
  waitMs: integer(0, MAX_BATCH_WAIT_MS),
} satisfies Checks;
const BATCH_HANDLER_CHECKS = {
  ...HANDLER_CHECKS,
  transactional: check(
    'false or nothing, since the jobs of a batch are settled one by one (each has job.transaction())',
    (value) => value === false,
  ),
} satisfies Checks;
const REGISTRATION_CHECKS = {
  batch: object(BATCH_CHECKS, ['size']),
  handleBatch: callable,
  handle: check('nothing beside batch and handleBatch', (value) => value === undefined),
} satisfies Checks;

/** Text that `jsonb` can store. */
const storable = check(
  'text without NUL and lone surrogates',
  (value) => typeof value === 'string' && storageProblem(value) === undefined,
);

/** The key of a group or of a unique job: text of at most 256 bytes. */
export const keyText = check(
  `text of 1 to ${MAX_KEY_BYTES} bytes without NUL and lone surrogates`,
  (value) =>
    typeof value === 'string' &&
    value !== '' &&
    Buffer.byteLength(value) <= MAX_KEY_BYTES &&
    storageProblem(value) === undefined,
);

const debounce = object({ debounceMs: delay, maxWaitMs: delay }, ['debounceMs']);
const reducerName = object(
  { reducer: check('the name of a reducer', (value) => typeof value === 'string') },
  ['reducer'],
);
const conflict: Check = (value, at, problems) => {
  if (isObject(value)) return ('reducer' in value ? reducerName : debounce)(value, at, problems);
  oneOf('keep', 'replace', 'merge', 'latest', 'abort')(value, at, problems);
};
const uniqueShape = object({
  key: keyText,
  fields: listOf(storable, { min: 1, max: MAX_TAGS }),
  scope: oneOf('pending', 'active', 'forever'),
  periodMs: integer(1, MAX_DELAY_MS),
  onConflict: conflict,
});
const unique: Check = (value, at, problems) => {
  uniqueShape(value, at, problems);
  if (!isObject(value)) return;
  if ((value['key'] === undefined) === (value['fields'] === undefined))
    problems.push(`${at}: expected either key or fields`);
  if (value['scope'] === 'active' && value['onConflict'] === 'latest')
    problems.push(
      `${at}.scope: 'latest' keeps one that runs and one that waits, so the scope cannot be 'active'`,
    );
};
const jobId = check('the id of a job, or what enqueue answered', (value) =>
  /^[1-9]\d{0,18}$/.test(String(isObject(value) ? value['id'] : value)),
);

const edge = object({ job: jobId, onFailure: oneOf('cancel', 'fail', 'ignore') }, ['job']);
const parent: Check = (value, at, problems) => {
  if (isObject(value) && 'job' in value) return edge(value, at, problems);
  jobId(value, at, problems);
};

const resultShape = object({
  timeoutMs: timeout(1),
  signal: check('an AbortSignal', (value) => value instanceof AbortSignal),
});

const JOB_CHECKS = {
  group: keyText,
  groupConcurrency: integer(1, MAX_LIMIT),
  unique,
  dependsOn: listOf(parent, { max: MAX_DEPENDENCIES }),
  batch: jobId,
  onParentFailure: oneOf('cancel', 'fail', 'ignore'),
  keepResult: boolean,
  runAt: check('a valid Date of the years 1 to 9999', isStorableDate),
  delayMs: delay,
  expiresAt: check('a valid Date of the years 1 to 9999', isStorableDate),
  priority: integer(-32_768, 32_767),
  maxAttempts: integer(1, MAX_ATTEMPTS),
  backoff: storedBackoff,
  timeoutMs: timeout(1),
  tags: listOf(storable, { max: MAX_TAGS }),
  headers: checkHeaders,
} satisfies Checks;

const checkEnqueueOptions = object({
  ...JOB_CHECKS,
  tx: check('something with a query(text, values) method', hasQuery),
});
const checkNewJob = object({ ...JOB_CHECKS, queue: accepted, payload: accepted });

/**
 * @param subject what the options belong to, such as `defineQueue("mail")`
 * @param extra checks of options that a layer above adds
 * @throws InvalidOptionsError listing every problem
 */
export function checkQueueOptions(
  subject: string,
  options: unknown,
  extra: Checks = {},
): asserts options is QueueDefinitionOptions {
  throwProblems(subject, problemsOf(options, { ...DEFINITION_CHECKS, ...extra }));
}

/**
 * Options as `defineQueue` takes them: a `dto` class may stand for the schema.
 *
 * @throws InvalidOptionsError listing every problem
 */
export function checkDefineOptions(
  subject: string,
  options: unknown,
): asserts options is QueueDefinitionOptions | DtoOptions {
  const problems = problemsOf(options, { ...DEFINITION_CHECKS, dto });
  if (isObject(options) && options['dto'] !== undefined && options['schema'] !== undefined)
    problems.push('dto: excludes schema, and both were given');
  throwProblems(subject, problems);
}

/**
 * A queue that is given copies of its own failed jobs would never come to rest.
 *
 * @param given the option `deadLetter` of the queue's definition or handler, where it has one
 * @throws InvalidOptionsError
 */
export function checkDeadLetter(subject: string, queue: string, given: AnyQueue | false | undefined): void {
  if (given === undefined || given === false) return;
  if ((typeof given === 'string' ? given : given.name) !== queue) return;
  throwProblems(subject, [
    `deadLetter: expected another queue than ${JSON.stringify(queue)} itself, whose failed jobs it is to get`,
  ]);
}

/**
 * What single checks of a queue's payload options cannot see.
 *
 * @throws InvalidOptionsError when a version has no upcaster, or a queue is its own alias
 */
export function checkPayloadOptions(subject: string, queue: string, options: PayloadOptions): void {
  const { aliases = [] } = options;
  throwProblems(subject, [
    ...upcasterProblems(options),
    ...(aliases.includes(queue) ? [`aliases: expected former names, got the present one`] : []),
  ]);
}

/**
 * @param subject whose options they are, such as `MailHandlers.send`
 * @param extra checks of options that a layer above adds
 * @throws InvalidOptionsError listing every problem
 */
export function checkHandlerOptions(
  subject: string,
  options: unknown,
  extra: Checks = {},
): asserts options is HandlerOptions {
  throwProblems(subject, problemsOf(options, { ...HANDLER_CHECKS, ...extra }));
}

/**
 * The options of a handler of batches, those of its batches among them.
 *
 * @param subject whose options they are, such as `MailHandlers.send`
 * @param extra checks of options that a layer above adds
 * @throws InvalidOptionsError listing every problem
 */
export function checkBatchHandlerOptions(subject: string, options: unknown, extra: Checks = {}): void {
  throwProblems(
    subject,
    problemsOf(options, { ...BATCH_HANDLER_CHECKS, ...BATCH_CHECKS, ...extra }, ['size']),
  );
}

/** A handler of batches to be registered; its queue is checked elsewhere. @throws InvalidOptionsError listing every problem */
export function checkBatchRegistration(registration: BatchHandlerRegistration): void {
  const { label, options = {}, batch, handleBatch } = registration;
  const { handle } = registration as { handle?: unknown };
  throwProblems(label, [
    ...problemsOf({ batch, handleBatch, handle }, REGISTRATION_CHECKS, ['batch', 'handleBatch']),
    ...problemsOf(options, BATCH_HANDLER_CHECKS),
  ]);
}

/** The options of one `enqueue`. On the hot path: costs nothing without options. @throws InvalidOptionsError listing every problem */
export function checkJobOptions(queue: string, options: EnqueueOptions | undefined): void {
  if (options !== undefined) checkTimed(checkEnqueueOptions, `enqueue(${JSON.stringify(queue)})`, options);
}

/** @throws InvalidOptionsError listing every problem */
export function checkResultOptions(id: unknown, options: unknown): void {
  const problems: string[] = [];
  jobId(id, 'id', problems);
  resultShape(options, '', problems);
  throwProblems('result', problems);
}

const callback: Check = (value, at, problems) => {
  if (!isObject(value))
    return void problems.push(problem(at, 'a job: { queue, payload, ...options }', value));
  queueReference(value['queue'], `${at}.queue`, problems);
  if (value['batch'] !== undefined)
    problems.push(`${at}.batch: a callback counts in no batch, which might have ended before it`);
};
const BATCH_JOBS_CHECKS = {
  open: boolean,
  onFinished: callback,
  onSucceeded: callback,
  onFailed: callback,
  tx: check('something with a query(text, values) method', hasQuery),
} satisfies Checks;

/** Options of a batch; those of its callbacks are checked as those of jobs. @throws InvalidOptionsError listing every problem */
export function checkBatch(options: unknown): void {
  throwProblems('batch()', problemsOf(options, BATCH_JOBS_CHECKS));
}

/** @returns the id of a batch. @throws InvalidOptionsError */
export function checkBatchId(subject: string, batch: string | { readonly id: string }): string {
  throwProblems(subject, problemsOf({ batch }, { batch: jobId }, ['batch']));
  return typeof batch === 'string' ? batch : batch.id;
}

/** One job of a mixed `enqueueMany`; its queue and payload are checked elsewhere. @throws InvalidOptionsError listing every problem */
export function checkNewJobOptions(queue: string, job: NewJob): void {
  checkTimed(checkNewJob, `enqueueMany(), a job of ${JSON.stringify(queue)}`, job);
}

function checkTimed(checkOptions: Check, subject: string, options: Pick<NewJob, 'runAt' | 'delayMs'>): void {
  const problems: string[] = [];
  checkOptions(options, '', problems);
  const timedTwice = options?.runAt !== undefined && options.delayMs !== undefined;
  if (timedTwice) problems.push('delayMs: excludes runAt, and both were given');
  throwProblems(subject, problems);
}

const sleepTime = check(
  `a number of milliseconds from 0 to ${MAX_DELAY_MS}`,
  (value) => typeof value === 'number' && value >= 0 && value <= MAX_DELAY_MS,
);
const checkStepCall = object({ name: keyText, work: callable, options: object({ transactional: boolean }) }, [
  'name',
  'work',
]);
const checkSleepCall = object({ name: keyText, ms: sleepTime }, ['ms']);
const checkWaitCall = object({ event: keyText, options: object({ timeoutMs: period, name: keyText }) }, [
  'event',
]);
const checkEmitCall = object(
  {
    event: keyText,
    options: object({ keepMs: delay, tx: check('something with a query(text, values) method', hasQuery) }),
  },
  ['event'],
);

/** The arguments of `job.step()`. @throws InvalidOptionsError listing every problem */
export function checkStep(name: unknown, work: unknown, options: unknown): void {
  checkCall('job.step()', checkStepCall, { name, work, options });
}

/** The arguments of `job.sleep()`. @throws InvalidOptionsError listing every problem */
export function checkSleep(name: unknown, ms: unknown): void {
  checkCall('job.sleep()', checkSleepCall, { name, ms });
}

/** The arguments of `job.waitForEvent()`. @throws InvalidOptionsError listing every problem */
export function checkWait(event: unknown, options: unknown): void {
  checkCall('job.waitForEvent()', checkWaitCall, { event, options });
}

/** The arguments of `publisher.emit()`; its payload is checked elsewhere. @throws InvalidOptionsError listing every problem */
export function checkEmit(event: unknown, options: unknown): void {
  checkCall('emit()', checkEmitCall, { event, options });
}

function checkCall(subject: string, checkArguments: Check, given: object): void {
  const problems: string[] = [];
  checkArguments(given, '', problems);
  throwProblems(subject, problems);
}

/** Something that names a queue: a name, or a definition with its options. */
export const queueReference: Check = (value, at, problems) => {
  if (typeof value === 'string') return checkName(value, at, problems);
  if (!isObject(value)) return void problems.push(problem(at, 'a queue name or definition', value));
  checkName(value['name'], `${at}.name`, problems);
  object(DEFINITION_CHECKS)(value['options'] ?? {}, `${at}.options`, problems);
};

/** A queue name in a list of them. */
export const queueName: Check = checkName;

function checkName(value: unknown, at: string, problems: string[]): void {
  const wrong = queueNameProblem(value);
  if (wrong !== undefined) problems.push(`${problem(at, 'a queue name', value)}: ${wrong}`);
}

function accepted(): void {}

function hasQuery(value: unknown): boolean {
  const bearer = isObject(value) || typeof value === 'function' ? (value as { query?: unknown }) : undefined;
  return typeof bearer?.query === 'function';
}

/** PostgreSQL does not read the ISO text of years that need more than four digits, or a sign. */
function isStorableDate(value: unknown): boolean {
  if (!types.isDate(value)) return false;
  const year = value.getUTCFullYear();
  return year >= 1 && year <= 9_999;
}

function checkHeaders(value: unknown, at: string, problems: string[]): void {
  if (!isObject(value)) return void problems.push(problem(at, 'an object of strings', value));
  for (const key of Object.keys(value)) {
    const wrong = headerProblem(key, value[key]);
    if (wrong !== undefined) problems.push(`${at}[${JSON.stringify(key.slice(0, 64))}]: ${wrong}`);
  }
}

/** Headers may carry credentials, so what was given is not shown. */
function headerProblem(key: string, value: unknown): string | undefined {
  if (key === '__proto__') return 'no header can have this name';
  if (typeof value !== 'string') return 'expected a string, got another type';
  return storageProblem(key) ?? storageProblem(value);
}

/** The shortest interval of a schedule, in milliseconds; cron expressions have no shorter one either. */
const SHORTEST_INTERVAL_MS = 1_000;

const scheduleName = check(
  'a name of 1 to 128 bytes without control characters',
  (value) => queueNameProblem(value) === undefined,
);

const SCHEDULE_CHECKS = {
  name: scheduleName,
  queue: queueReference,
  cron: check(
    `a cron expression of at most ${MAX_CRON_LENGTH} characters`,
    (value) => typeof value === 'string' && value.length <= MAX_CRON_LENGTH,
  ),
  everyMs: integer(SHORTEST_INTERVAL_MS, MAX_DELAY_MS),
  timezone: check('the name of a time zone, such as Europe/Berlin', isTimeZone),
  payload: accepted,
  missed: oneOf('skip', 'once', 'all'),
  overlap: oneOf('allow', 'skip', 'queue'),
  priority: JOB_CHECKS.priority,
  maxAttempts: JOB_CHECKS.maxAttempts,
  backoff: JOB_CHECKS.backoff,
  timeoutMs: JOB_CHECKS.timeoutMs,
  tags: JOB_CHECKS.tags,
  headers: JOB_CHECKS.headers,
} satisfies Checks;

/**
 * @param subject whose definition it is, such as `@Scheduled() DigestHandlers.write`
 * @param extra checks of options that a layer above adds
 * @throws InvalidOptionsError listing every problem
 */
export function checkSchedule(
  subject: string,
  definition: unknown,
  extra: Checks = {},
): asserts definition is ScheduleDefinition {
  const problems = problemsOf(definition, { ...SCHEDULE_CHECKS, ...extra }, ['name']);
  if (isObject(definition)) checkTiming(definition, problems);
  throwProblems(subject, problems);
}

function checkTiming(definition: Record<string, unknown>, problems: string[]): void {
  const { cron, everyMs, timezone = SCHEDULE_DEFAULTS.timezone } = definition;
  if ((cron === undefined) === (everyMs === undefined)) problems.push('cron, everyMs: expected one of them');
  if (typeof cron !== 'string' || cron.length > MAX_CRON_LENGTH || !isTimeZone(timezone)) return;
  const wrong = cronProblem(cron, timezone as string);
  if (wrong !== undefined)
    problems.push(`${problem('cron', 'an expression of 5 or 6 fields', cron)}: ${wrong}`);
}
