import { isConnectionFailure, reportFailure } from '../connection/pg-errors.js';
import type { EventHub } from '../events.js';
import { Deferred } from '../lifecycle/deferred.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import type { Claimer } from './claimer.js';
import type { Doorbell } from './doorbell.js';
import { unstarted } from './attempt.js';
import type { Exchange, Wanted } from './exchange.js';
import type { Isolation } from './isolation.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { LimitedQueues } from './limited-queues.js';
import type { Pacer } from './pacer.js';
import type { Settler } from './settler.js';
import type { SweepClock } from './sweep-clock.js';

/** The parts a {@link Dispatcher} brings together. */
export interface DispatcherParts {
  readonly events: EventHub;
  readonly exchange: Exchange;
  readonly claimer: Claimer;
  readonly limited: LimitedQueues;
  readonly settler: Settler;
  readonly keeper: LeaseKeeper;
  readonly doorbell: Doorbell;
  readonly pacer: Pacer;
  readonly sweeps: SweepClock;
  readonly isolation: Isolation;
}

/** Another claimer was at work on a lane: come back after this. */
const CONTENDED_MS = 2;
/** The lease has run out, or claims are held back: look again after this. */
const HELD_BACK_MS = 250;
/** After a failure that is not the connection's, which has a delay of its own. */
const FAILURE_PAUSE_MS = 250;
/** A job that was claimed ahead and has not started for so long is given to others. */
const STALE_BUFFER_MS = 2_000;

/**
 * The loop of a worker: hands in what has ended and takes out what is to run, one exchange with the database at a time, all of its queues in
 * one statement. When there is nothing to exchange it looks behind the lanes' heads, and then it sleeps until somebody calls.
 *
 * idle -> claiming (start) <-> quiet (hush, resume: hands in, takes nothing) -> settling (quiesce) -> stopped
 */
export class Dispatcher implements Service {
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #empty = new Set<Deferred<void>>();
  #claiming = true;
  #quiet = false;
  #contended = false;
  #rung = false;
  /** Whether the last exchange was a plain one: where there is work of both kinds, they take turns. */
  #plain = false;
  #running: Promise<void> | undefined;

  constructor(private readonly parts: DispatcherParts) {}

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  /** Ends the loop; what is not settled by now is not settled by it. */
  async stop(): Promise<void> {
    this.quiesce();
    this.#stopping.abort();
    this.#wakeup.call();
    await this.#running;
  }

  /** Nothing more is claimed. */
  quiesce(): void {
    this.#claiming = false;
    this.parts.exchange.close();
    this.#wakeup.call();
  }

  /** Nothing more is claimed until it goes on. */
  hush(): void {
    this.#quiet = true;
    this.parts.exchange.close();
    void this.parts.doorbell.disarm();
    this.#wakeup.call();
  }

  /** Claims again; not after it was quiesced. */
  resume(): void {
    if (!this.#claiming) return;
    this.#quiet = false;
    this.parts.exchange.reopen();
    this.suspectAll();
  }

  /** Resolves when everything that has ended is stored. */
  async flushed(): Promise<void> {
    if (this.parts.settler.empty) return;
    const deferred = new Deferred<void>();
    this.#empty.add(deferred);
    this.#wakeup.call();
    await deferred.promise;
  }

  /** Something has ended, or a slot is free. */
  call(): void {
    this.#wakeup.call();
  }

  /** A queue may have work: said by a publisher in this process, or by a promotion. */
  hint(queue: string): void {
    if (!this.parts.claimer.hint(queue)) return;
    this.parts.pacer.active();
    this.#wakeup.call();
  }

  /** A bell rang for a queue. */
  rang(queue: string): void {
    if (!this.parts.claimer.hint(queue)) return;
    this.parts.pacer.active();
    this.#rung = true;
    if (this.parts.doorbell.rang()) void this.parts.doorbell.disarm();
    this.#wakeup.call();
  }

  /** The listener is new: no bell is armed, and some may have been missed. */
  bellsLost(): void {
    this.parts.doorbell.forget();
    this.suspectAll();
  }

  /** Nothing that was known about the queues can be relied on: a start, another queue, a failover. */
  suspectAll(): void {
    this.parts.claimer.hintAll();
    this.parts.sweeps.suspectAll();
    this.parts.pacer.active();
    this.#wakeup.call();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#returnStale();
      const worked = await this.#step().catch((error: unknown) => this.#failed(error));
      this.#announceEmpty();
      if (!worked) await this.#sleep();
    }
  }

  /** The most useful thing to do now. False when there is nothing, or nothing that could be done. */
  async #step(): Promise<boolean> {
    const { isolation, exchange, settler, keeper, claimer } = this.parts;
    if (isolation.doubtful()) await exchange.lookForAlone();
    const found = await this.#sweepIfDue();
    const wanted = this.#mayClaim() ? this.#wanted() : {};
    const claims = wanted.plain !== undefined || wanted.limited !== undefined;
    const settles = settler.hasAcks || settler.hasFinished || settler.hasOthers;
    if (settles || claims) return this.#hand(wanted, settles);
    if (!this.#takes || !keeper.valid) return false;
    if (isolation.waiting && claimer.idle) return exchange.claimAlone();
    return found;
  }

  get #takes(): boolean {
    return this.#claiming && !this.#quiet;
  }

  #mayClaim(): boolean {
    return this.#takes && this.parts.keeper.valid && !this.parts.isolation.holdsBack(this.parts.claimer.idle);
  }

  /** What to take next: plain jobs, or those that limits and groups hold back, by turns. */
  #wanted(): Wanted {
    const { claimer, limited } = this.parts;
    if (!limited.any) return { plain: claimer.demand() };
    const now = performance.now();
    for (const queue of limited.waited(now)) claimer.hint(queue);
    const isDue = (queue: string) => limited.isDue(queue, now);
    const wanted = {
      plain: claimer.demand((queue) => limited.isPlain(queue)),
      limited: claimer.demand(isDue),
    };
    if (wanted.plain === undefined || wanted.limited === undefined) return wanted;
    this.#plain = !this.#plain;
    return this.#plain ? { plain: wanted.plain } : { limited: wanted.limited };
  }

  async #hand(wanted: Wanted, settles: boolean): Promise<boolean> {
    const { exchange, pacer, sweeps } = this.parts;
    const claims = wanted.plain !== undefined || wanted.limited !== undefined;
    if (claims) pacer.looked();
    const { jobs, contended } = await exchange.hand(wanted);
    if (!claims) return true;
    this.#contended = contended;
    if (jobs > 0) pacer.active();
    else if (this.#rung && !contended) sweeps.ask();
    this.#rung = false;
    return settles || !contended;
  }

  /**
   * Comes before claims, or a queue with more work than slots would never be swept: stragglers and jobs of new priorities would wait
   * for the end of its backlog. True when it found something.
   */
  async #sweepIfDue(): Promise<boolean> {
    const { sweeps, exchange, claimer } = this.parts;
    const capacity = this.#mayClaim() ? claimer.capacity() : undefined;
    const kind = sweeps.due(performance.now());
    if (capacity === undefined || kind === undefined) return false;
    const found = await exchange.sweep(kind, capacity);
    for (const { queue } of found) this.hint(queue);
    return found.length > 0;
  }

  async #sleep(): Promise<void> {
    const { doorbell, pacer, claimer } = this.parts;
    if (this.#contended && this.#takes) return void (await this.#wakeup.wait(CONTENDED_MS));
    if (this.#takes && !doorbell.armed && !pacer.hot && (await doorbell.arm(claimer.queues)))
      return claimer.hintAll();
    const pollMs = pacer.untilLook(doorbell.armed);
    const called = await this.#wakeup.wait(Math.min(pollMs, this.#untilSomething()));
    return called || pacer.untilLook(doorbell.armed) > 0 ? undefined : this.#poll();
  }

  #untilSomething(): number {
    const limitedMs = this.#takes ? this.parts.limited.untilDue(performance.now()) : Infinity;
    return Math.min(this.#untilSweep(), this.#untilStale(), limitedMs);
  }

  /** A slot that becomes free calls; a lease that is renewed and an isolation that is given up do not. */
  #untilSweep(): number {
    const { sweeps, claimer } = this.parts;
    // Without a free slot a sweep could take nothing.
    if (this.#mayClaim())
      return claimer.capacity() === undefined ? Infinity : sweeps.untilDue(performance.now());
    return this.#takes ? HELD_BACK_MS : Infinity;
  }

  #untilStale(): number {
    for (const pool of this.parts.claimer.pools) if (pool.buffered > 0) return STALE_BUFFER_MS;
    return Infinity;
  }

  /** Nobody called for a while: look whether there is something all the same. */
  #poll(): void {
    const { pacer, claimer, sweeps } = this.parts;
    if (!pacer.hot) sweeps.ask();
    pacer.looked();
    claimer.hintAll();
  }

  #returnStale(): void {
    for (const pool of this.parts.claimer.pools) {
      for (const claimed of pool.takeBuffered(STALE_BUFFER_MS)) this.parts.settler.add(unstarted(claimed));
    }
  }

  async #failed(error: unknown): Promise<boolean> {
    if (this.#stopping.signal.aborted) return true;
    reportFailure(this.parts.events, 'exchange', error);
    this.suspectAll();
    if (!isConnectionFailure(error)) await pause(FAILURE_PAUSE_MS, this.#stopping.signal);
    return true;
  }

  #announceEmpty(): void {
    if (this.#empty.size === 0 || !this.parts.settler.empty) return;
    for (const deferred of this.#empty) deferred.resolve();
    this.#empty.clear();
  }
}
