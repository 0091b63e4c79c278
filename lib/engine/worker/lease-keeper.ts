import { hostname } from 'node:os';
import { Worker } from 'node:worker_threads';
import type pg from 'pg';
import { reasonOf, reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import type { LeaseOptions } from '../options.js';
import { heartbeat, registerWorker, unregisterWorker } from '../sql/lease-jobs.js';
import type { Tables } from '../sql/tables.js';
import { describeWorker, drainWorker, workerOrders } from '../sql/worker-orders.js';
import { lastOrderOf, type Order } from './order.js';
import { releaseOf } from './release.js';

/** Options of a {@link LeaseKeeper}. */
export interface LeaseKeeperOptions {
  readonly session: Session;
  readonly tables: Tables;
  readonly events: EventHub;
  /** Name of the instance, for people. */
  readonly name: string;
  readonly lease: Required<LeaseOptions>;
  /** Configurations of the servers, for the heartbeat thread's own connection. */
  readonly configs: () => readonly pg.ClientConfig[];
  /** What is worked on, and how many jobs of each may run at once. */
  readonly queues: () => Readonly<Record<string, number>>;
  /** Somebody has told this worker something new. */
  readonly onOrder: (order: Order) => void;
  /** This worker could not prove in time that it is alive, or was declared dead: its handlers are to end. */
  readonly onLost: () => void;
  /** The database's clock jumped, or it was out of reach for long and is back: nobody should be declared dead for a while. */
  readonly onOutage: () => void;
}

const TICK = 0;
const LAST_BEAT_NS = 1;
const WORKER_ID = 2;
const DEAD = 3;
const DATABASE_MS = 4;
const ORDERS = 5;
/** A main thread that has not moved for this long is stuck for good, and its lease is let go. */
const STALL_LIMIT_MS = 300_000;
/** A database clock that differs by more than this from what the monotonic clock says has jumped. */
const CLOCK_JUMP_MS = 5_000;

/**
 * Keeps this process's worker alive in the database, and knows when it may not rely on it any more.
 *
 * One row per worker instead of one per running job: renewing costs the same whatever runs. The beat comes from a thread of its own, so
 * that a handler that blocks the main thread keeps its lease. Validity counts from when a confirmed beat was *sent*, by the
 * monotonic clock; the database judges by its own. Shortly before it runs out no more jobs are claimed; when it has run
 * out the handlers are told; when the worker's row is gone, its jobs belong to others, and it goes on under a new id.
 */
export class LeaseKeeper implements Service {
  readonly #cells = new BigInt64Array(new SharedArrayBuffer(6 * BigInt64Array.BYTES_PER_ELEMENT));
  readonly #beats: Ticker;
  #thread: Worker | undefined;
  #fenced = false;
  #shaken = false;
  #clockSkewMs: number | undefined;
  #renewing: Promise<void> | undefined;
  #beating = false;
  /** As far as it has been acted on. */
  #orders = 0;

  constructor(private readonly options: LeaseKeeperOptions) {
    const { heartbeatMs } = options.lease;
    this.#beats = new Ticker({
      intervalMs: Math.min(heartbeatMs, 1_000),
      tick: () => this.#tick(),
      onError: (error) => this.#report('register', error),
    });
  }

  /** Registers the worker; from then on {@link workerId} may hold leases. */
  async start(): Promise<void> {
    await this.#register();
    if (this.options.lease.heartbeat === 'thread') this.#startThread();
    await this.#beats.start();
  }

  async stop(): Promise<void> {
    await this.#beats.stop();
    await this.#stopThread();
    Atomics.store(this.#cells, WORKER_ID, 0n);
  }

  /** Nothing runs here any more: the worker's row goes. Without this its lease would run out, and nothing would be found. */
  async signOff(): Promise<void> {
    const workerId = Number(Atomics.exchange(this.#cells, WORKER_ID, 0n));
    if (workerId !== 0) await this.options.session.run(unregisterWorker, { workerId });
  }

  /** Says what is worked on, for people, after it has changed. */
  async describe(): Promise<void> {
    const { session, queues } = this.options;
    await session.run(describeWorker, { workerId: this.workerId, queues: queues() });
  }

  /** Says that this worker takes nothing new. */
  async announceDrain(): Promise<void> {
    if (this.workerId !== 0) await this.options.session.run(drainWorker, { workerId: this.workerId });
  }

  /** A worker was told something: if it is this one, it does so now and not at its next heartbeat. */
  told(workerId: string): void {
    if (workerId !== String(this.workerId)) return;
    void this.#readOrders().catch((error: unknown) => this.#report('read orders', error)); // the next heartbeat brings them
  }

  /** The id under which jobs are claimed now; 0 when there is none. */
  get workerId(): number {
    return Number(Atomics.load(this.#cells, WORKER_ID));
  }

  /** Whether new jobs may be claimed: the last confirmed beat is young enough. */
  get valid(): boolean {
    const { ttlMs } = this.options.lease;
    return this.workerId !== 0 && this.#silentMs() < ttlMs - Math.min(5_000, ttlMs / 6);
  }

  /** The lease holds, and whoever must know that it had nearly or quite run out has been told. */
  get steady(): boolean {
    return this.valid && !this.#shaken;
  }

  /** How long the lease has been out, in milliseconds; 0 or less while it holds. */
  get expiredMs(): number {
    return this.#silentMs() - this.options.lease.ttlMs;
  }

  #silentMs(): number {
    return Number((process.hrtime.bigint() - Atomics.load(this.#cells, LAST_BEAT_NS)) / 1_000_000n);
  }

  async #register(): Promise<void> {
    const sentAt = process.hrtime.bigint();
    const [row] = await this.options.session.run(registerWorker, {
      name: this.options.name,
      host: hostname(),
      pid: process.pid,
      ttlMs: this.options.lease.ttlMs,
      version: releaseOf(),
      queues: this.options.queues(),
      orders: this.#orders,
    });
    Atomics.store(this.#cells, WORKER_ID, BigInt(row?.id ?? 0));
    Atomics.store(this.#cells, LAST_BEAT_NS, sentAt);
    Atomics.store(this.#cells, DEAD, 0n);
    this.#fenced = false;
  }

  /** The main thread's share: it moves the tick, beats itself when there is no thread, and looks at what became of the lease. */
  async #tick(): Promise<void> {
    Atomics.add(this.#cells, TICK, 1n);
    if (this.#thread === undefined && this.#silentMs() >= this.options.lease.heartbeatMs * 0.9)
      this.#beatInBackground();
    await this.#judge();
  }

  /** Not awaited: a database that does not answer must not keep the lease from being judged. */
  #beatInBackground(): void {
    if (this.#beating) return;
    this.#beating = true;
    void this.#beat()
      .catch((error: unknown) => this.#report('heartbeat', error))
      .finally(() => (this.#beating = false));
  }

  async #beat(): Promise<void> {
    const { session, lease } = this.options;
    const sentAt = process.hrtime.bigint();
    const [row] = await session.run(heartbeat, { workerId: this.workerId, ttlMs: lease.ttlMs });
    if (row === undefined) return void Atomics.store(this.#cells, DEAD, 1n);
    Atomics.store(this.#cells, DATABASE_MS, BigInt(Math.round(row.now_ms)));
    Atomics.store(this.#cells, ORDERS, BigInt(row.orders));
    Atomics.store(this.#cells, LAST_BEAT_NS, sentAt);
  }

  async #readOrders(): Promise<void> {
    const [row] = await this.options.session.run(workerOrders, { workerId: this.workerId });
    this.#heard(row?.orders ?? 0);
  }

  /** Answers may overtake each other: what is older than what is known is no news. */
  #heard(orders: number): void {
    if (orders <= this.#orders) return;
    this.#orders = orders;
    this.options.onOrder(lastOrderOf(orders));
  }

  async #judge(): Promise<void> {
    this.#watchClock();
    this.#heard(Number(Atomics.load(this.#cells, ORDERS)));
    if (Atomics.load(this.#cells, DEAD) === 1n) return this.#renew();
    if (this.workerId === 0) return;
    if (this.expiredMs > 0 && !this.#fenced) this.#fence();
    if (this.expiredMs <= 0) this.#fenced = false;
    if (!this.valid) this.#shaken = true;
    else if (this.#shaken) this.#recover();
  }

  /** Out of touch for a whole lease: others may have taken the jobs by now. */
  #fence(): void {
    this.#fenced = true;
    this.options.events.emit({
      type: 'workerLost',
      reason: 'the database has not confirmed a heartbeat in time',
    });
    this.options.onLost();
  }

  /** Back in touch: the others may need a moment longer. */
  #recover(): void {
    this.options.onOutage();
    this.#shaken = false;
  }

  #renew(): Promise<void> {
    return (this.#renewing ??= this.#takeNewId().finally(() => (this.#renewing = undefined)));
  }

  async #takeNewId(): Promise<void> {
    if (Atomics.exchange(this.#cells, WORKER_ID, 0n) !== 0n) {
      this.options.events.emit({ type: 'workerLost', reason: 'declared dead by another worker' });
      this.options.onLost();
    }
    await this.#register();
  }

  /** A jump of the database's clock, or a failover to a server whose clock differs, must not look like the death of everybody. */
  #watchClock(): void {
    const databaseMs = Number(Atomics.load(this.#cells, DATABASE_MS));
    if (databaseMs === 0) return;
    const skewMs = databaseMs - Number(Atomics.load(this.#cells, LAST_BEAT_NS) / 1_000_000n);
    if (this.#clockSkewMs !== undefined && Math.abs(skewMs - this.#clockSkewMs) > CLOCK_JUMP_MS)
      this.options.onOutage();
    this.#clockSkewMs = skewMs;
  }

  #startThread(): void {
    const { lease, tables, events } = this.options;
    try {
      const thread = new Worker(new URL('./heartbeat-thread.mjs', import.meta.url), {
        workerData: {
          shared: this.#cells.buffer,
          configs: this.options.configs(),
          text: heartbeat.text(tables),
          ttlMs: lease.ttlMs,
          heartbeatMs: lease.heartbeatMs,
          stallLimitMs: Math.max(STALL_LIMIT_MS, lease.ttlMs),
        },
      });
      thread.on('message', () => void this.#judge().catch(() => {})); // what failed is tried again at the next tick
      thread.on('error', (error) => this.#threadLost(error));
      this.#thread = thread;
    } catch (error) {
      events.emit({
        type: 'engineWarning',
        message: `heartbeats come from the main thread: ${reasonOf(error)}`,
      });
    }
  }

  #threadLost(error: unknown): void {
    this.#thread = undefined;
    this.#report('heartbeat thread', error);
  }

  #report(operation: string, error: unknown): void {
    reportFailure(this.options.events, operation, error);
  }

  async #stopThread(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    if (thread === undefined) return;
    const exited = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    thread.postMessage('stop');
    const bound = setTimeout(() => void thread.terminate(), 1_000);
    await exited;
    clearTimeout(bound);
  }
}
