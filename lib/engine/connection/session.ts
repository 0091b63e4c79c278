import { setMaxListeners } from 'node:events';
import type pg from 'pg';
import { ClosedError } from '../errors.js';
import type { EventHub } from '../events.js';
import { Deferred } from '../lifecycle/deferred.js';
import type { Statement } from '../sql/statement.js';
import type { Tables } from '../sql/tables.js';
import { type Cluster, type Connected, destroy, endOf } from './cluster.js';
import { isConnectionFailure, isReadOnly, reasonOf } from './pg-errors.js';
import { ReconnectDelay } from './reconnect-delay.js';

/** Options of a {@link Session}. */
export interface SessionOptions {
  readonly cluster: Cluster;
  readonly tables: Tables;
  /** `false`: never name a prepared statement. */
  readonly preparedStatements: boolean;
  /** A statement without an answer for this long counts as lost, and its connection with it, in milliseconds. */
  readonly queryTimeoutMs: number;
  readonly events: EventHub;
  /** Several statements on the wire at once, each its own transaction. @default false */
  readonly pipeline?: boolean;
}

/**
 * A queue table that was analysed while it was empty must never pick the plan, so the plans are pinned: index scans in nested
 * loops, generic, compiled by nobody. Only on sessions of our own.
 */
const PIN_PLANS = `set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off;
  set enable_hashjoin = off; set enable_mergejoin = off; set jit = off`;

/**
 * One connection of the engine's own that heals itself: `run` connects when there is no connection, and a failed one is
 * thrown away. It never repeats a statement: what to do about an unknown outcome is the caller's to decide.
 */
export class Session {
  #connected: Connected | undefined;
  #connecting: Promise<Connected> | undefined;
  #lost = false;
  readonly #closing = new AbortController();
  readonly #delay = new ReconnectDelay();

  constructor(private readonly options: SessionOptions) {
    setMaxListeners(0, this.#closing.signal); // one for each statement that waits for a connection, of which there may be many
  }

  /**
   * Runs one statement.
   *
   * @throws DatabaseUnreachableError when no connection can be made; nothing was sent
   * @throws the driver's error otherwise; see `isConnectionFailure` for those that leave the outcome unknown
   */
  async run<Args, Row>(statement: Statement<Args, Row>, args: Args): Promise<Row[]> {
    const connected = this.#connected ?? (await this.#untilClosed(this.#connect()));
    try {
      const { rows } = await connected.client.query(this.#query(statement, args, connected.direct));
      return rows as Row[];
    } catch (error) {
      if (isConnectionFailure(error) || isReadOnly(error)) this.#drop(connected, error);
      throw error;
    }
  }

  /** Whether the session is ours alone; `undefined` while there is no connection. */
  get direct(): boolean | undefined {
    return this.#connected?.direct;
  }

  /** Ends the connection. Statements that wait for one, or for an answer, fail. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#delay.cancel();
    const connected = this.#connected;
    this.#connected = undefined;
    if (connected !== undefined) await endOf(connected.client);
  }

  /** Who waits for a connection when the session is closed is told so, instead of being kept. */
  async #untilClosed(connecting: Promise<Connected>): Promise<Connected> {
    const { signal } = this.#closing;
    const closed = new Deferred<never>();
    const onAbort = () => closed.reject(new ClosedError('query'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([connecting, closed.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #query<Args>(statement: Statement<Args, unknown>, args: Args, direct: boolean): pg.QueryConfig {
    const text = statement.text(this.options.tables);
    const named = direct && this.options.preparedStatements;
    return {
      ...(named ? { name: this.options.tables.prefix + statement.name } : {}),
      text,
      values: statement.values(args),
      query_timeout: this.options.queryTimeoutMs,
    } as pg.QueryConfig;
  }

  #connect(): Promise<Connected> {
    if (this.#closing.signal.aborted) return Promise.reject(new ClosedError('query'));
    return (this.#connecting ??= this.#establish().finally(() => (this.#connecting = undefined)));
  }

  async #establish(): Promise<Connected> {
    const { signal } = this.#closing;
    await this.#delay.wait();
    if (signal.aborted) throw new ClosedError('query');
    try {
      const connected = await this.options.cluster.connect({
        extra: { pipeline: this.options.pipeline === true },
        setUp: (direct) => (direct ? PIN_PLANS : undefined),
        signal,
      });
      this.#adopt(connected);
      return connected;
    } catch (error) {
      this.#delay.failed();
      this.#announceLost(error);
      throw error;
    }
  }

  #adopt(connected: Connected): void {
    if (this.#closing.signal.aborted) {
      destroy(connected.client);
      throw new ClosedError('query');
    }
    this.#delay.succeeded();
    this.#connected = connected;
    if (this.#lost) this.options.events.emit({ type: 'databaseRestored' });
    this.#lost = false;
    connected.client.once('end', () => {
      if (this.#connected !== connected) return;
      this.#connected = undefined;
      this.#announceLost(new Error('the connection ended'));
    });
  }

  #announceLost(reason: unknown): void {
    if (!this.#lost && !this.#closing.signal.aborted)
      this.options.events.emit({ type: 'databaseLost', reason: reasonOf(reason) });
    this.#lost = true;
  }

  #drop(connected: Connected, reason: unknown): void {
    if (this.#connected === connected) {
      this.#connected = undefined;
      this.#announceLost(reason);
      if (isReadOnly(reason)) this.options.cluster.advance();
      this.#delay.failed();
    }
    destroy(connected.client);
  }
}
