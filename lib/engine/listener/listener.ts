import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { type Cluster, destroy } from '../connection/cluster.js';
import { reasonOf } from '../connection/pg-errors.js';
import { ReconnectDelay } from '../connection/reconnect-delay.js';
import type { EventHub } from '../events.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { armBells, disarmBells } from '../sql/listen.js';
import type { Tables } from '../sql/tables.js';

/** Options of a {@link Listener}. */
export interface ListenerOptions {
  readonly cluster: Cluster;
  readonly tables: Tables;
  readonly events: EventHub;
  /** Sends a notification from another connection: the only proof that this one hears. */
  readonly notify: (channel: string, payload: string) => Promise<void>;
  /** A queue has work; '' means that something was scheduled. */
  readonly onRing: (queue: string) => void;
  /** Work may have come while nobody listened: look for it. */
  readonly onRestored: () => void;
  /** No bell rings any more, and none is asked for: look for work without them. */
  readonly onLost: () => void;
  /** How often a listener that works is proven again, in milliseconds. */
  readonly proofIntervalMs?: number;
  /** How long a proof may take, in milliseconds. */
  readonly proofTimeoutMs?: number;
}

const PROOF_INTERVAL_MS = 15_000;
const PROOF_TIMEOUT_MS = 5_000;
/** A pooler that swallows notifications will not stop doing so soon. */
const UNAVAILABLE_RETRY_MS = 60_000;

/**
 * The one LISTEN connection of a process.
 *
 * It reconnects by itself, and counts as healthy only once a notification sent from another connection has arrived:
 * behind a pooler in transaction mode LISTEN succeeds, an echo to oneself arrives, and nothing else ever does. The
 * proof goes over a private channel, so that the proofs of many processes wake only their own.
 *
 * disconnected -> connected (LISTEN sent) -> healthy (proven) -> disconnected, and so on until `stop`.
 */
export class Listener implements Service {
  #client: pg.Client | undefined;
  #healthy = false;
  /** Queues whose bells this connection has asked for. */
  #armed = new Set<string>();
  #wasHealthy = false;
  #running: Promise<void> | undefined;
  readonly #stopped = new AbortController();
  readonly #delay = new ReconnectDelay();
  readonly #proofChannel: string;
  #proof: { readonly nonce: string; readonly arrived: () => void } | undefined;

  constructor(private readonly options: ListenerOptions) {
    this.#proofChannel = `${options.tables.channel}_${randomBytes(8).toString('hex')}`;
  }

  /** Begins to connect, in the background: without a listener work is found by polling. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#delay.cancel();
    if (this.#client !== undefined) destroy(this.#client);
    await this.#running;
  }

  /** Whether notifications arrive, proven in this session. */
  get healthy(): boolean {
    return this.#healthy;
  }

  /**
   * Asks for the bells of these queues. The locks that ask count how often they were taken, so none is taken twice.
   * False when there is no listener to hear them.
   */
  async arm(queues: readonly string[]): Promise<boolean> {
    const missing = queues.filter((queue) => !this.#armed.has(queue));
    const armed = this.#armed;
    if (!(await this.#bells(armBells, missing))) return false;
    for (const queue of missing) armed.add(queue);
    return armed === this.#armed;
  }

  async disarm(queues: readonly string[]): Promise<void> {
    const held = queues.filter((queue) => this.#armed.delete(queue));
    await this.#bells(disarmBells, held);
  }

  async #bells(statement: typeof armBells, queues: readonly string[]): Promise<boolean> {
    if (!this.#healthy || this.#client === undefined) return false;
    if (queues.length === 0) return true;
    const client = this.#client;
    try {
      await client.query({
        text: statement.text(this.options.tables),
        values: statement.values({ queues }),
        query_timeout: this.options.proofTimeoutMs ?? PROOF_TIMEOUT_MS,
      } as pg.QueryConfig);
      return this.#healthy && this.#client === client;
    } catch {
      destroy(client); // its end is reported by the loop
      return false;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await this.#delay.wait();
      if (this.#stopped.signal.aborted) return;
      try {
        await this.#serve();
      } catch (error) {
        this.#lost(error);
      }
    }
  }

  /** One connection, from connecting to its end. Throws what ended it. */
  async #serve(): Promise<void> {
    const { client, direct } = await this.options.cluster.connect({
      setUp: () => `listen ${this.options.tables.channel}; listen ${this.#proofChannel}`,
      signal: this.#stopped.signal,
    });
    this.#client = client;
    const ended = new Promise<never>((_, reject) =>
      client.once('end', () => reject(new Error('the connection ended'))),
    );
    ended.catch(() => {}); // may end before anybody waits
    const over = new AbortController();
    try {
      if (this.#stopped.signal.aborted) return;
      client.on('notification', (message) => this.#heard(message));
      await this.#prove(ended, direct);
      this.#restored();
      for (;;) {
        await Promise.race([
          pause(this.options.proofIntervalMs ?? PROOF_INTERVAL_MS, over.signal),
          ended, // also when it is stopped
        ]);
        if (this.#stopped.signal.aborted) return;
        await this.#prove(ended, direct);
      }
    } finally {
      over.abort();
      this.#client = undefined;
      destroy(client);
    }
  }

  async #prove(ended: Promise<never>, direct: boolean): Promise<void> {
    const nonce = randomBytes(8).toString('hex');
    const arrived = new Promise<boolean>(
      (resolve) => (this.#proof = { nonce, arrived: () => resolve(true) }),
    );
    await this.options.notify(this.#proofChannel, nonce);
    const timeout = new AbortController();
    const late = pause(this.options.proofTimeoutMs ?? PROOF_TIMEOUT_MS, timeout.signal).then(() => false);
    const heard = await Promise.race([arrived, late, ended]).finally(() => timeout.abort());
    if (heard || this.#stopped.signal.aborted) return;
    if (this.#wasHealthy && direct) throw new Error('a notification did not arrive in time');
    throw new DeafError();
  }

  #heard(message: pg.Notification): void {
    if (message.channel === this.options.tables.channel) return this.options.onRing(message.payload ?? '');
    if (message.payload === this.#proof?.nonce) this.#proof?.arrived();
  }

  #restored(): void {
    this.#delay.succeeded();
    this.#healthy = true;
    this.#wasHealthy = true;
    this.#armed = new Set();
    this.options.events.emit({ type: 'listenerRestored' });
    this.options.onRestored();
  }

  #lost(error: unknown): void {
    const wasHealthy = this.#healthy;
    this.#healthy = false;
    if (this.#stopped.signal.aborted) return;
    if (wasHealthy) this.options.onLost();
    this.#delay.failed();
    if (error instanceof DeafError) {
      this.#delay.failedFor(UNAVAILABLE_RETRY_MS);
      this.options.events.emit({ type: 'listenerUnavailable', reason: error.message });
    } else if (wasHealthy) {
      this.options.events.emit({ type: 'listenerLost', reason: reasonOf(error) });
    }
  }
}

class DeafError extends Error {
  constructor() {
    super(
      'notifications from other connections do not arrive: a pooler in transaction mode? Give "listen.connection" a direct connection',
    );
  }
}
