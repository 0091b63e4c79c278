import { queueNameProblem } from './job/queue-name.js';
import { QUEUE_CHECKS, queueName, queueReference } from './option-checks.js';
import {
  MAX_TIMER_MS,
  boolean,
  callable,
  check,
  integer,
  isObject,
  listOf,
  object,
  oneOf,
  problem,
  secret,
  withDefaults,
} from './option-checker.js';
import type { Check, Checks } from './option-checker.js';
import { LEASE_DEFAULTS } from './options.js';
import type { LeaseOptions } from './options.js';

const MAX_PAYLOAD_BYTES = 67_108_864;
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,47}$/;
const CONNECTION_URL = /^(postgres(ql)?:\/\/|socket:|\/)/i;

const hosts = secret(
  'an array of at least one { host, port }',
  (value) => Array.isArray(value) && value.length > 0 && value.every(isHost),
);
const url = secret(
  'a URL such as postgres://user@host:5432/database',
  (value) => isNotEmpty(value) && CONNECTION_URL.test(value),
);
const pool = secret('a pg.Pool', (value) => hasMethods(value, 'query', 'connect'));
const borrowed = object({ pool }, ['pool']);
const embeddedOptions = object({
  dataDir: check('a path', isNotEmpty),
  port: check('an integer from 0 to 65535', isPort),
});
const embedded = object(
  { embedded: (value, at, problems) => (value === true ? undefined : embeddedOptions(value, at, problems)) },
  ['embedded'],
);

/**
 * A URL or a `pg.PoolConfig`: further fields of that are left to `pg`, which knows them better.
 * No value of a connection is ever shown: it may hold a password, in the wrong place too.
 */
const server = serverCheck('a URL or a pg.PoolConfig');
const anyServer = serverCheck('a URL, a pg.PoolConfig, { pool } or { embedded }');

const connection: Check = (value, at, problems) => {
  if (isObject(value) && 'pool' in value) return borrowed(value, at, problems);
  if (isObject(value) && 'embedded' in value) return embedded(value, at, problems);
  anyServer(value, at, problems);
};

function serverCheck(expected: string): Check {
  const isServer = secret(
    `${expected}; a pool of your own is given as { pool }`,
    (value) => isObject(value) && !hasMethods(value, 'query'),
  );
  return (value, at, problems) => {
    if (typeof value === 'string') return url(value, at, problems);
    isServer(value, at, problems);
    if (isObject(value) && value['hosts'] !== undefined) hosts(value['hosts'], `${at}.hosts`, problems);
  };
}

const queueNames = listOf(queueName);
const exception = object({ except: queueNames }, ['except']);

const consume: Check = (value, at, problems) => {
  if (typeof value === 'boolean') return;
  if (Array.isArray(value)) return queueNames(value, at, problems);
  if (isObject(value)) return exception(value, at, problems);
  problems.push(problem(at, 'true, false, an array of queue names, or { except: [...] }', value));
};

const leaseFields = object({
  ttlMs: integer(300, MAX_TIMER_MS),
  heartbeatMs: integer(100, MAX_TIMER_MS),
  heartbeat: oneOf('thread', 'main'),
  maxCrashes: integer(1, 1_000),
});

/** With fewer than three beats in its time, a lease would be lost by one slow query. */
const lease: Check = (value, at, problems) => {
  const before = problems.length;
  leaseFields(value, at, problems);
  if (problems.length > before) return;
  const given = value as LeaseOptions;
  const { ttlMs, heartbeatMs } = withDefaults<Required<LeaseOptions>>(LEASE_DEFAULTS, given);
  if (heartbeatMs * 3 <= ttlMs) return;
  const origin = given.heartbeatMs === undefined ? ' (the default)' : '';
  const limit = `at most a third of ttlMs (${ttlMs})`;
  problems.push(`${at}.heartbeatMs: expected ${limit}, got ${heartbeatMs}${origin}`);
};

/** The options of the engine; `connection` is required. */
export const TASKMASTER_CHECKS = {
  name: check(
    'a name of 1 to 128 bytes without control characters',
    (value) => queueNameProblem(value) === undefined,
  ),
  connection,
  schema: check(
    `a name that matches ${SCHEMA_NAME.source}`,
    (value) => typeof value === 'string' && SCHEMA_NAME.test(value),
  ),
  migrations: oneOf('run', 'verify', 'off'),
  connectTimeoutMs: integer(1, MAX_TIMER_MS),
  connect: oneOf('eager', 'lazy'),
  consume,
  listen: object({ enabled: boolean, connection: server, pollIntervalMs: integer(10, MAX_TIMER_MS) }),
  defaults: object(QUEUE_CHECKS),
  lease,
  shutdown: object({ drainTimeoutMs: integer(0, MAX_TIMER_MS) }),
  middleware: listOf(callable),
  batchMiddleware: listOf(callable),
  queues: listOf(queueReference),
  transaction: callable,
  maxPayloadBytes: integer(1, MAX_PAYLOAD_BYTES),
  preparedStatements: boolean,
  warnOutsideTransaction: boolean,
} satisfies Checks;

function isNotEmpty(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function isHost(value: unknown): boolean {
  if (!isObject(value) || !isNotEmpty(value['host'])) return false;
  return value['port'] === undefined || (isPort(value['port']) && value['port'] !== 0);
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return isObject(value) && names.every((name) => typeof value[name] === 'function');
}
