import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { InvalidOptionsError } from '../../lib/engine/errors.js';
import { defineQueue } from '../../lib/engine/job/define-queue.js';
import { boolean, listOf, callable } from '../../lib/engine/option-checker.js';
import type { TaskmasterOptions } from '../../lib/engine/options.js';
import {
  LEASE_DEFAULTS,
  LISTEN_DEFAULTS,
  QUEUE_DEFAULTS,
  SHUTDOWN_DEFAULTS,
  TASKMASTER_DEFAULTS,
} from '../../lib/engine/options.js';
import { resolveOptions, taskmasterProblems } from '../../lib/engine/resolve-options.js';
import { thrownBy } from '../support/thrown-by.js';

const connection = 'postgres://user:secret@localhost/app';
const resolve = (options: Partial<TaskmasterOptions> = {}, consume?: string) =>
  resolveOptions({ connection, ...options }, { TASKMASTER_CONSUME: consume });
const fakePool = { query: () => 1, connect: () => 1 } as never;

describe('resolveOptions', () => {
  it('fills in every default', () => {
    const { consumes, ...resolved } = resolve();
    const { consume, ...defaults } = TASKMASTER_DEFAULTS;
    expect(resolved).toEqual({
      ...defaults,
      connection,
      listen: LISTEN_DEFAULTS,
      defaults: QUEUE_DEFAULTS,
      lease: LEASE_DEFAULTS,
      shutdown: SHUTDOWN_DEFAULTS,
      middleware: [],
      batchMiddleware: [],
      queues: [],
      transaction: undefined,
    });
    expect(consumes('anything')).toBe(consume);
  });

  it('keeps what is given', () => {
    const given: TaskmasterOptions = {
      name: 'second',
      connection: { pool: fakePool },
      schema: '_jobs_2',
      migrations: 'verify',
      connectTimeoutMs: 5,
      connect: 'lazy',
      consume: false,
      listen: { enabled: false, connection: 'postgresql://direct/app', pollIntervalMs: 100 },
      defaults: { concurrency: 1, maxAttempts: 2, backoff: [3], timeoutMs: Infinity },
      lease: { ttlMs: 3_000, heartbeatMs: 1_000, heartbeat: 'main', maxCrashes: 1 },
      shutdown: { drainTimeoutMs: 0 },
      middleware: [(_job, next) => next()],
      queues: ['mail', defineQueue('resize')],
      transaction: () => undefined,
      maxPayloadBytes: 67_108_864,
      preparedStatements: false,
    };
    const { consume, ...rest } = given;
    const resolved = resolveOptions(given, {});
    expect(resolved).toMatchObject(rest);
    expect(resolved.consumes('mail')).toBe(consume);
  });

  it('fills in what a group of options leaves open', () => {
    expect(resolve({ lease: { maxCrashes: 1 } }).lease).toEqual({ ...LEASE_DEFAULTS, maxCrashes: 1 });
  });

  it('takes undefined for not given', () => {
    const options = { schema: undefined, consume: undefined, defaults: { concurrency: undefined } };
    const resolved = resolve(options as never);
    expect(resolved.schema).toBe('taskmaster');
    expect(resolved.defaults).toEqual(QUEUE_DEFAULTS);
    expect(resolved.consumes('mail')).toBe(true);
  });

  it('cannot be changed afterwards', () => {
    const resolved = resolve();
    expect(Object.isFrozen(resolved)).toBe(true);
    expect(Object.isFrozen(resolved.lease)).toBe(true);
  });

  it('lists every problem in one error', () => {
    const options = { conection: 'x', schema: 'Bad-Name', lease: { ttlMs: 3_000 }, maxPayloadBytes: 0 };
    expect(() => resolveOptions(options as never, { TASKMASTER_CONSUME: 'a,off' })).toThrow(
      [
        'Invalid options for Taskmaster:',
        '  - conection: unknown option, did you mean "connection"?',
        '  - schema: expected a name that matches ^[a-z_][a-z0-9_]{0,47}$, got "Bad-Name"',
        '  - lease.heartbeatMs: expected at most a third of ttlMs (3000), got 5000 (the default)',
        '  - maxPayloadBytes: expected an integer from 1 to 67108864, got 0',
        '  - connection: expected a URL, a pg.PoolConfig, { pool } or { embedded }; a pool of your own is given as { pool }, got undefined',
        '  - TASKMASTER_CONSUME: "off" stands alone; a queue of that name is selected by the option "consume"',
      ].join('\n'),
    );
  });

  it.each([undefined, null, 'postgres://localhost', []])('refuses %j in place of options', (options) => {
    expect(() => resolveOptions(options as never, {})).toThrow(InvalidOptionsError);
  });

  const WRONG: [options: object, problem: string][] = [
    ...[
      '',
      'a.b',
      '"a"',
      "a'b",
      'a b',
      'Abc',
      '1a',
      'a'.repeat(49),
      'a\n',
      'a\\b',
      '$cmd$',
      'ä',
      5,
      null,
    ].map((schema): [object, string] => [{ schema }, 'schema: expected a name that matches']),
    [{ name: '' }, 'name: expected a name'],
    [{ name: 'a\nb' }, 'name: expected a name'],
    [{ migrations: 'auto' }, "migrations: expected 'run' or 'verify' or 'off', got \"auto\""],
    [{ connect: true }, "connect: expected 'eager' or 'lazy', got true"],
    [{ connectTimeoutMs: 0 }, 'connectTimeoutMs: expected an integer'],
    [{ connectTimeoutMs: Infinity }, 'connectTimeoutMs: expected an integer'],
    [{ listen: false }, 'listen: expected an object, got false'],
    [{ listen: { pollIntervalMs: '1s' } }, 'listen.pollIntervalMs: expected an integer'],
    [{ listen: { connection: 5 } }, 'listen.connection: expected a URL or a pg.PoolConfig'],
    [{ listen: { interval: 5 } }, 'listen.interval: unknown option'],
    [{ defaults: { concurrency: 0 } }, 'defaults.concurrency: expected an integer'],
    [{ defaults: { schema: {} } }, 'defaults.schema: unknown option'],
    [
      { lease: { heartbeatMs: 10_001 } },
      'lease.heartbeatMs: expected at most a third of ttlMs (30000), got 10001',
    ],
    [{ lease: { ttlMs: NaN } }, 'lease.ttlMs: expected an integer'],
    [{ lease: { heartbeat: 'worker' } }, "lease.heartbeat: expected 'thread' or 'main'"],
    [{ lease: { maxCrashes: 0 } }, 'lease.maxCrashes: expected an integer'],
    [
      { shutdown: { drainTimeoutMs: 2 ** 31 } },
      'shutdown.drainTimeoutMs: expected an integer from 0 to 2147483647',
    ],
    [{ shutdown: { drainTimeoutMs: -1 } }, 'shutdown.drainTimeoutMs: expected an integer'],
    [{ middleware: () => 1 }, 'middleware: expected an array, got a function'],
    [{ middleware: [{}] }, 'middleware[0]: expected a function, got an object'],
    [{ queues: ['a', ''] }, 'queues[1]: expected a queue name, got "": it is empty'],
    [{ queues: [5] }, 'queues[0]: expected a queue name or definition, got 5'],
    [{ queues: [{ name: 'a', options: { x: 1 } }] }, 'queues[0].options.x: unknown option'],
    [{ transaction: {} }, 'transaction: expected a function, got an object'],
    [{ maxPayloadBytes: 67_108_865 }, 'maxPayloadBytes: expected an integer'],
    [{ preparedStatements: 'no' }, 'preparedStatements: expected true or false, got "no"'],
    [{ consume: 'mail' }, 'consume: expected true, false, an array of queue names, or { except: [...] }'],
    [{ consume: ['a', ''] }, 'consume[1]: expected a queue name'],
    [{ consume: {} }, 'consume.except: expected an array, got undefined'],
    [{ consume: { except: 'a' } }, 'consume.except: expected an array, got "a"'],
    [{ consume: { only: ['a'], except: [] } }, 'consume.only: unknown option'],
  ];

  it.each(WRONG)('refuses %j', (options, problem) => {
    expect(() => resolve(options)).toThrow(`Invalid options for Taskmaster:\n  - ${problem}`);
  });
});

describe('the option connection', () => {
  const RIGHT: unknown[] = [
    connection,
    'postgresql://a:1,b:2/app',
    '/var/run/postgresql app',
    'socket:/var/run/postgresql',
    {},
    { host: 'localhost', password: 'secret', ssl: true, whatPgMayAdd: 1 },
    { hosts: [{ host: 'a' }, { host: 'b', port: 5_432 }] },
    { pool: fakePool },
    { embedded: true },
    { embedded: { dataDir: '.data', port: 0 } },
  ];

  it.each(RIGHT)('may be %j', (given) => {
    expect(() => resolve({ connection: given as never })).not.toThrow();
  });

  const WRONG: [given: unknown, problem: string][] = [
    [undefined, 'connection: expected a URL, a pg.PoolConfig, { pool } or { embedded }'],
    [null, 'connection: expected a URL, a pg.PoolConfig, { pool } or { embedded }'],
    [['secret'], 'connection: expected a URL, a pg.PoolConfig, { pool } or { embedded }'],
    ['', 'connection: expected a URL such as postgres://user@host:5432/database, got an empty string'],
    ['secret', 'connection: expected a URL such as postgres://user@host:5432/database, got a string'],
    ['mysql://secret', 'connection: expected a URL such as postgres://user@host:5432/database, got a string'],
    [
      fakePool,
      'connection: expected a URL, a pg.PoolConfig, { pool } or { embedded }; a pool of your own is given as { pool }',
    ],
    [{ hosts: [] }, 'connection.hosts: expected an array of at least one { host, port }, got an array of 0'],
    [{ hosts: 'secret' }, 'connection.hosts: expected an array of at least one { host, port }, got a string'],
    [
      { hosts: [{ host: 'a', port: 0 }] },
      'connection.hosts: expected an array of at least one { host, port }',
    ],
    [{ pool: undefined }, 'connection.pool: expected a pg.Pool, got undefined'],
    [{ pool: { secret: 1 } }, 'connection.pool: expected a pg.Pool, got an object'],
    [{ pool: fakePool, max: 5 }, 'connection.max: unknown option, known are pool'],
    [{ embedded: false }, 'connection.embedded: expected an object, got false'],
    [{ embedded: { port: -1 } }, 'connection.embedded.port: expected an integer from 0 to 65535, got -1'],
    [{ embedded: { dir: 'x' } }, 'connection.embedded.dir: unknown option, known are dataDir, port'],
  ];

  it.each(WRONG)('may not be %j, and the error does not show it', (given, problem) => {
    const resolving = () => resolveOptions({ connection: given } as never, {});
    expect(resolving).toThrow(problem);
    expect(inspect(thrownBy(resolving))).not.toContain('secret');
  });
});

describe('which queues are consumed', () => {
  const QUEUES = ['a', 'b', 'off', '*', 'a,b', ' a', '__proto__'];
  const consumed = (consume: TaskmasterOptions['consume'], variable?: string) => {
    const { consumes } = resolve(consume === undefined ? {} : { consume }, variable);
    return QUEUES.filter((queue) => consumes(queue));
  };

  it('is decided by the option', () => {
    expect(consumed(true)).toEqual(QUEUES);
    expect(consumed(false)).toEqual([]);
    expect(consumed([])).toEqual([]);
    expect(consumed(['a', '*', 'a,b'])).toEqual(['a', '*', 'a,b']);
    expect(consumed({ except: ['a', 'off', '*'] })).toEqual(['b', 'a,b', ' a', '__proto__']);
    expect(consumed({ except: [] })).toEqual(QUEUES);
  });

  it.each<[variable: string, queues: string[]]>([
    ['off', []],
    [' off ', []],
    ['*', QUEUES],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a , b ,', ['a', 'b']],
    ['OFF', []],
    ['__proto__', ['__proto__']],
  ])('is decided by TASKMASTER_CONSUME=%j, whatever the option says', (variable, queues) => {
    expect(consumed(true, variable)).toEqual(queues);
    expect(consumed(['b'], variable)).toEqual(queues);
    expect(consumed({ except: ['a'] }, variable)).toEqual(queues);
    expect(consumed(false, variable)).toEqual(queues);
  });

  it.each(['', '  '])('is decided by the option where TASKMASTER_CONSUME is blank', (variable) => {
    expect(consumed(['b'], variable)).toEqual(['b']);
  });

  it.each([
    [',', 'commas only'],
    ['a,off', '"off" stands alone'],
    ['*,a', '"*" stands alone'],
    [`a,${'x'.repeat(129)}`, 'TASKMASTER_CONSUME[1]: expected a queue name'],
  ])('cannot be TASKMASTER_CONSUME=%j', (variable, problem) => {
    expect(() => resolve({}, variable)).toThrow(problem);
  });
});

describe('taskmasterProblems', () => {
  class Middleware {}
  const extra = { autoStart: boolean, middleware: listOf(callable) };

  it('checks the options of a layer above together with the engine’s', () => {
    const given = { connection, autoStart: 'yes', autostart: true, middleware: [Middleware], schema: 'X' };
    expect(taskmasterProblems(given, {}, extra)).toEqual([
      'autoStart: expected true or false, got "yes"',
      'autostart: unknown option, did you mean "autoStart"?',
      'schema: expected a name that matches ^[a-z_][a-z0-9_]{0,47}$, got "X"',
    ]);
  });
});
