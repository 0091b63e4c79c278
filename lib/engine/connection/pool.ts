import pg from 'pg';
import type { Cluster } from './cluster.js';

/** How many connections a pool of our own has unless its configuration says otherwise; `pg`'s own default. */
const POOL_SIZE = 10;

/**
 * Our own pool over a cluster: each new client connects to the server in use at that time, and with several hosts
 * one that turns out to be a standby is refused. When a client cannot connect, the next one tries another server.
 */
export function createPool(cluster: Cluster, config: pg.PoolConfig): pg.Pool {
  class ClusterClient extends pg.Client {
    constructor() {
      super(cluster.clientConfig());
      const { target } = cluster;
      const onEnd = () => cluster.advance(target);
      this.once('end', onEnd);
      this.once('connect', () => this.off('end', onEnd));
    }
  }
  const pool = new pg.Pool({
    ...config,
    max: config.max ?? POOL_SIZE,
    connectionTimeoutMillis: config.connectionTimeoutMillis ?? cluster.clientConfig().connectionTimeoutMillis,
    Client: ClusterClient,
    ...(cluster.multiHost ? { verify: refuseStandby(cluster) } : {}),
  });
  return guard(pool);
}

/** Where clients come from: a pool. */
export interface ClientSource {
  connect(): Promise<pg.PoolClient>;
}

/** A client that was taken from a pool. */
export interface CheckedOut {
  readonly client: pg.PoolClient;
  /** Gives it back; a broken one is thrown away. */
  readonly release: (broken?: Error) => void;
}

/**
 * Takes a client from a pool, ours or one that was lent. While it is out nobody else listens to its errors, and one that dies would
 * crash the process: whoever uses it gets the error from the query that fails.
 */
export async function checkOut(pool: ClientSource): Promise<CheckedOut> {
  const client = await pool.connect();
  client.on('error', ignore);
  const release = (broken?: Error) => {
    if (broken === undefined) client.off('error', ignore);
    client.release(broken);
  };
  return { client, release };
}

function ignore(): void {}

/** A broken connection that nobody uses, or that is checked out, must not crash the process: its next user gets the error. */
function guard(pool: pg.Pool): pg.Pool {
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function refuseStandby(cluster: Cluster) {
  return (client: pg.PoolClient, done: (error?: Error) => void): void => {
    client.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering').then(
      ({ rows }) => {
        if (rows[0]?.recovering !== true) return done();
        cluster.advance();
        return done(new Error('the server is in recovery and read-only'));
      },
      (error: Error) => {
        cluster.advance();
        done(error);
      },
    );
  };
}
