import pg from 'pg';
import type { Cluster } from './cluster.js';

/** How many connections a pool of our own has unless its configuration says otherwise; `pg`'s own default. */
const POOL_SIZE = 10;

/**
 * Our own pool over a cluster: each new client connects to the server in use at that time, and with several hosts
 * one that turns out to be a standby is refused.
 */
export function createPool(cluster: Cluster, config: pg.PoolConfig): pg.Pool {
  class ClusterClient extends pg.Client {
    constructor() {
      super(cluster.clientConfig());
    }
  }
  const pool = new pg.Pool({
    ...config,
    max: config.max ?? POOL_SIZE,
    connectionTimeoutMillis: config.connectionTimeoutMillis ?? (cluster.clientConfig().connectionTimeoutMillis as number),
    Client: ClusterClient,
    ...(cluster.multiHost ? { verify: refuseStandby(cluster) } : {}),
  } as pg.PoolConfig);
  return guard(pool);
}

/** A broken connection that nobody uses, or that is checked out, must not crash the process: its next user gets the error. */
function guard(pool: pg.Pool): pg.Pool {
  pool.on('error', () => {});
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
