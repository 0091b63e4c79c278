import pg from 'pg';
import { DatabaseUnreachableError } from '../errors.js';
import type { ConnectionTarget } from './connection-target.js';
import { reasonOf } from './pg-errors.js';

/** What a goodbye may take. */
const END_MS = 1_000;

/** A dedicated connection and what its greeting told. */
export interface Connected {
  readonly client: pg.Client;
  /**
   * True when the session is ours alone. False behind a pooler in transaction mode: session state (settings, prepared
   * statements, advisory locks, LISTEN) must not be used there.
   */
  readonly direct: boolean;
}

/** Options of {@link Cluster.connect}. */
export interface ConnectOptions {
  /** Settings of this connection alone. */
  readonly extra?: pg.ClientConfig;
  /** Statements to begin with, within the time that connecting may take; `undefined`: none. @default none */
  readonly setUp?: (direct: boolean) => string | undefined;
  /** Gives up at once, also in the middle of connecting. */
  readonly signal: AbortSignal;
}

/**
 * The servers of one connection option. With several hosts, the one that is not in recovery is used; it is remembered, and looked
 * for again when it fails or turns read-only.
 */
export class Cluster {
  #targets: readonly ConnectionTarget[];
  #current = 0;

  constructor(
    targets: readonly ConnectionTarget[],
    private readonly connectTimeoutMs: number,
  ) {
    this.#targets = targets;
  }

  /** Replaces the targets: an embedded server learns its port when it starts. */
  retarget(targets: readonly ConnectionTarget[]): void {
    this.#targets = targets;
    this.#current = 0;
  }

  /** The target in use. */
  get target(): ConnectionTarget {
    return this.#targets[this.#current] as ConnectionTarget;
  }

  get multiHost(): boolean {
    return this.#targets.length > 1;
  }

  /**
   * A target has failed: the next connection tries the others first. Of many that find out about the same failure only one
   * has an effect, so that they do not go round in a circle.
   */
  advance(failed: ConnectionTarget = this.target): void {
    if (failed === this.target) this.#current = (this.#current + 1) % this.#targets.length;
  }

  /**
   * Connects to the first server that accepts and is not in recovery, starting with the one in use.
   *
   * @throws DatabaseUnreachableError when none does; names the last one tried
   */
  async connect({ signal, ...options }: ConnectOptions): Promise<Connected> {
    let failure: unknown;
    let failed = this.target;
    for (let attempt = 0; attempt < this.#targets.length && !signal.aborted; attempt += 1) {
      failed = this.target;
      try {
        return await this.#greet(options, signal);
      } catch (error) {
        failure = error;
        this.advance(failed);
      }
    }
    throw new DatabaseUnreachableError(failed.label, reasonOf(failure), { cause: failure });
  }

  /** The configurations of all targets, the one in use first. */
  get configs(): readonly pg.ClientConfig[] {
    const ordered = [...this.#targets.slice(this.#current), ...this.#targets.slice(0, this.#current)];
    return ordered.map((target) => ({
      application_name: 'taskmaster',
      keepAlive: true,
      ...target.config,
      connectionTimeoutMillis: this.connectTimeoutMs,
    }));
  }

  /** Settings of every connection we make, above those of the user. */
  clientConfig(extra: pg.ClientConfig = {}): pg.ClientConfig {
    return { ...(this.configs[0] as pg.ClientConfig), ...extra };
  }

  async #greet(
    { extra = {}, setUp }: Omit<ConnectOptions, 'signal'>,
    signal: AbortSignal,
  ): Promise<Connected> {
    const client = new pg.Client(this.clientConfig(extra));
    client.on('error', () => {}); // also reported as 'end', which every owner watches
    const giveUp = () => destroy(client);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await client.connect();
      const { rows } = await client.query<{ pid: number; recovering: boolean }>(
        this.#bounded('select pg_backend_pid() as pid, pg_is_in_recovery() as recovering'),
      );
      if (rows[0]?.recovering !== false) throw new Error('the server is in recovery and read-only');
      const direct = (client as unknown as { processID: number }).processID === rows[0].pid;
      const text = setUp?.(direct);
      if (text !== undefined) await client.query(this.#bounded(text));
      return { client, direct };
    } catch (error) {
      destroy(client);
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** A server that accepts connections may still never answer. */
  #bounded(text: string): pg.QueryConfig {
    return { text, query_timeout: this.connectTimeoutMs } as pg.QueryConfig;
  }
}

/** A polite end, with a bound: a server that does not answer must not hold up a shutdown. */
export async function endOf(client: pg.Client): Promise<void> {
  const bound = setTimeout(() => destroy(client), END_MS);
  await client.end().catch(() => {});
  clearTimeout(bound);
}

/** Ends a client at once, without waiting for a server that may not answer. */
export function destroy(client: pg.Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
}
