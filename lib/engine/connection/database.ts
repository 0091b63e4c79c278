import type pg from 'pg';
import { ClosedError, DatabaseUnreachableError } from '../errors.js';
import type { EventHub } from '../events.js';
import { pause } from '../lifecycle/pause.js';
import type { ConnectionOption, MultiHostConfig, ResolvedOptions } from '../options.js';
import { Migrator } from '../schema/migrator.js';
import { tablesOf, type Tables } from '../sql/tables.js';
import { Cluster, type Connected, destroy, endOf } from './cluster.js';
import { type ConnectionTarget, targetsOf } from './connection-target.js';
import { EmbeddedPostgres } from './embedded.js';
import { databaseErrorOf, isConnectionFailure, sqlStateOf } from './pg-errors.js';
import { OpenTransactions } from './open-transactions.js';
import { type ClientSource, createPool } from './pool.js';
import { Session } from './session.js';

/** What a statement of the engine may take, in milliseconds, before its connection counts as lost. */
const QUERY_TIMEOUT_MS = 10_000;
const RETRY_MS = 250;
/** What is left open in the pool is given this long to come back. */
const POOL_END_MS = 2_000;
/** Wrong password, unknown role, unknown database: waiting does not help. */
const HOPELESS = new Set(['28P01', '28000', '3D000']);

/**
 * Everything that leads to PostgreSQL: the cluster of servers, the pool, the engine's own sessions, and, for development, the
 * server itself.
 */
export class Database {
  readonly tables: Tables;
  /** Ours, or the one that was lent to us. */
  readonly pool: pg.Pool;
  /** The same, for the engine itself. */
  readonly clients: ClientSource;
  /** What the application opens on the pool, as far as that is known: never in production, nor on a pool that was lent. */
  readonly openTransactions = new OpenTransactions();
  readonly #cluster: Cluster;
  readonly #listenCluster: Cluster;
  readonly #embedded: EmbeddedPostgres | undefined;
  readonly #borrowed: boolean;
  readonly #closing = new AbortController();
  #direct = false;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly events: EventHub,
  ) {
    const { connection, connectTimeoutMs, listen } = options;
    this.tables = tablesOf(options.schema);
    this.#borrowed = isBorrowed(connection);
    this.#cluster = new Cluster(initialTargets(connection), connectTimeoutMs);
    this.#listenCluster =
      listen.connection === undefined
        ? this.#cluster
        : new Cluster(targetsOf(listen.connection), connectTimeoutMs);
    this.pool = isBorrowed(connection)
      ? connection.pool
      : createPool(this.#cluster, poolConfigOf(connection));
    this.clients = { connect: this.pool.connect.bind(this.pool) };
    if (!this.#borrowed && options.warnOutsideTransaction) this.openTransactions.watch(this.pool);
    this.#embedded = isEmbedded(connection)
      ? new EmbeddedPostgres(connection.embedded === true ? {} : connection.embedded, {
          onNotice: (message) => events.emit({ type: 'engineWarning', message }),
        })
      : undefined;
  }

  /** The connection for LISTEN; that of everything else unless `listen.connection` names another. */
  get listenCluster(): Cluster {
    return this.#listenCluster;
  }

  /** Whether statements on the pool's connections may be prepared under a name. */
  get named(): boolean {
    return this.#direct && this.options.preparedStatements;
  }

  /** `host:port/database`, for messages. */
  get target(): string {
    return this.#cluster.target.label;
  }

  /** Configurations of the servers, for a connection made elsewhere. */
  get configs(): readonly pg.ClientConfig[] {
    return this.#cluster.configs;
  }

  /**
   * Starts the embedded server, waits until the database answers, and brings the schema up to date.
   *
   * @param waitMs how long to go on trying; `Infinity` until {@link close}
   * @throws DatabaseUnreachableError, SchemaBehindError, SchemaTooNewError, PermissionDeniedError
   */
  async open(waitMs: number): Promise<void> {
    if (this.#embedded !== undefined) await this.#startEmbedded(this.#embedded);
    await this.#prepare(performance.now() + waitMs);
  }

  /** A new connection of the engine's own. */
  session(pipeline: boolean): Session {
    return new Session({
      cluster: this.#cluster,
      tables: this.tables,
      events: this.events,
      preparedStatements: this.options.preparedStatements,
      queryTimeoutMs: QUERY_TIMEOUT_MS,
      pipeline,
    });
  }

  /** Ends the pool, unless it was lent, and the embedded server. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (!this.#borrowed && !this.pool.ended) await this.#endPool();
    await this.#embedded?.stop();
  }

  async #startEmbedded(embedded: EmbeddedPostgres): Promise<void> {
    await embedded.start();
    this.#cluster.retarget(targetsOf(embedded.connectionConfig));
  }

  /** Again and again while there is no connection, or while it breaks: a migration happens as a whole or not at all. */
  async #prepare(deadline: number): Promise<void> {
    for (;;) {
      try {
        return await this.#migrateOver(await this.#cluster.connect({ signal: this.#closing.signal }));
      } catch (error) {
        if (this.#closing.signal.aborted) throw new ClosedError('open');
        const over = performance.now() + RETRY_MS >= deadline;
        if (over || !isConnectionFailure(error) || isHopeless(error))
          throw databaseErrorOf('migration', error);
        await pause(RETRY_MS, this.#closing.signal);
      }
    }
  }

  async #migrateOver({ client, direct }: Connected): Promise<void> {
    this.#direct = direct;
    const { signal } = this.#closing;
    const giveUp = () => destroy(client);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await this.#migrate(client);
    } finally {
      signal.removeEventListener('abort', giveUp);
      await endOf(client);
    }
  }

  async #migrate(client: pg.Client): Promise<void> {
    const migrator = new Migrator(this.options.schema);
    switch (this.options.migrations) {
      case 'run':
        await migrator.run(client);
        return;
      case 'verify':
        return migrator.verify(client);
      case 'off':
        return;
    }
  }

  /** A client that is never given back must not hold up a shutdown for ever. */
  async #endPool(): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.pool.end().catch(() => {}), pause(POOL_END_MS, over.signal)]);
    over.abort();
  }
}

function isHopeless(error: unknown): boolean {
  return error instanceof DatabaseUnreachableError && HOPELESS.has(sqlStateOf(error.cause) ?? '');
}

function isBorrowed(connection: ConnectionOption): connection is { readonly pool: pg.Pool } {
  return typeof connection === 'object' && 'pool' in connection;
}

function isEmbedded(
  connection: ConnectionOption,
): connection is Extract<ConnectionOption, { embedded: unknown }> {
  return typeof connection === 'object' && 'embedded' in connection;
}

function poolConfigOf(connection: ConnectionOption): pg.PoolConfig {
  return typeof connection === 'string' || isEmbedded(connection) ? {} : (connection as MultiHostConfig);
}

/** An embedded server's address is known when it has started. A pool hides its password from spreads. */
function initialTargets(connection: ConnectionOption): readonly ConnectionTarget[] {
  if (isEmbedded(connection)) return [{ config: {}, label: 'the embedded server' }];
  if (!isBorrowed(connection)) return targetsOf(connection);
  const { options } = connection.pool;
  return targetsOf({ ...options, password: options.password });
}
