import { isConnectionFailure, reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { Deferred } from '../lifecycle/deferred.js';
import { pause } from '../lifecycle/pause.js';
import type { Service } from '../lifecycle/service.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import { ackAndClaimJobs, ackJobs, claimJobs, type ClaimRow } from '../sql/claim-jobs.js';
import { releaseLeases } from '../sql/lease-jobs.js';
import { rescheduleJobs } from '../sql/reschedule-jobs.js';
import { aloneWaiting, claimAlone, sweepJobs } from '../sql/sweep-jobs.js';
import { claimedJobsOf, type LeaseRow } from './claimed-jobs.js';
import type { Claimer, Demand } from './claimer.js';
import type { Doorbell } from './doorbell.js';
import type { Isolation } from './isolation.js';
import type { LeaseBook } from './lease-book.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Pacer } from './pacer.js';
import type { Settler } from './settler.js';
import type { SweepClock } from './sweep-clock.js';

/** The parts a {@link Dispatcher} brings together. */
export interface DispatcherParts {
  readonly session: Session;
  readonly events: EventHub;
  readonly claimer: Claimer;
  readonly settler: Settler;
  readonly book: LeaseBook;
  readonly keeper: LeaseKeeper;
  readonly doorbell: Doorbell;
  readonly pacer: Pacer;
  readonly sweeps: SweepClock;
  readonly isolation: Isolation;
  /** Jobs are stored that are to run again after a delay: whoever promotes should know, in milliseconds from now. */
  readonly onScheduled: (inMs: number) => void;
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
 * idle -> claiming (start) -> settling (quiesce: hands in, takes nothing) -> stopped
 */
export class Dispatcher implements Service {
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #empty = new Set<Deferred<void>>();
  #claiming = true;
  #contended = false;
  #rung = false;
  #running: Promise<void> | undefined;

  constructor(private readonly parts: DispatcherParts) {}

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  /** Ends the loop; what is not settled by now is not settled by it. */
  async stop(): Promise<void> {
    this.#claiming = false;
    this.#stopping.abort();
    this.#wakeup.call();
    await this.#running;
  }

  /** Nothing more is claimed. */
  quiesce(): void {
    this.#claiming = false;
    this.#wakeup.call();
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
    if (this.parts.isolation.doubtful()) await this.#lookForAlone();
    const found = await this.#sweepIfDue();
    const demand = this.#mayClaim() ? this.parts.claimer.demand() : undefined;
    const { hasAcks, hasOthers } = this.parts.settler;
    if (hasAcks || hasOthers || demand !== undefined) return this.#hand(hasAcks, hasOthers, demand);
    if (!this.#claiming || !this.parts.keeper.valid) return false;
    if (this.parts.isolation.waiting && this.parts.claimer.idle) return this.#claimAlone();
    return found;
  }

  #mayClaim(): boolean {
    return (
      this.#claiming && this.parts.keeper.valid && !this.parts.isolation.holdsBack(this.parts.claimer.idle)
    );
  }

  /** Both statements go out together, and the next step waits for both. */
  async #hand(hasAcks: boolean, hasOthers: boolean, demand: Demand | undefined): Promise<boolean> {
    const [others, exchange] = await Promise.allSettled([
      hasOthers ? this.#reschedule() : undefined,
      this.#exchange(hasAcks, demand),
    ]);
    if (exchange.status === 'rejected') throw exchange.reason;
    if (others.status === 'rejected') throw others.reason;
    return hasAcks || hasOthers || !this.#contended;
  }

  async #exchange(hasAcks: boolean, demand: Demand | undefined): Promise<void> {
    if (demand === undefined) return hasAcks ? this.#ack() : undefined;
    const { claimer, settler, session, keeper, pacer } = this.parts;
    const mark = claimer.mark;
    const claim = { workerId: keeper.workerId, ...demand };
    pacer.looked();
    if (!hasAcks) return this.#claimed(demand, mark, claim.workerId, await session.run(claimJobs, claim));
    const batch = settler.takeAcks();
    try {
      const rows = await session.run(ackAndClaimJobs, { ...batch.args, ...claim });
      settler.confirmed(batch, rows[0]?.acked ?? undefined);
      return this.#claimed(demand, mark, claim.workerId, rows);
    } catch (error) {
      settler.failed(batch, error);
      throw error;
    }
  }

  async #ack(): Promise<void> {
    const { settler, session } = this.parts;
    const batch = settler.takeAcks();
    try {
      const [row] = await session.run(ackJobs, batch.args);
      settler.confirmed(batch, row?.acked ?? undefined);
    } catch (error) {
      settler.failed(batch, error);
      throw error;
    }
  }

  async #reschedule(): Promise<void> {
    const { settler, session } = this.parts;
    const batch = settler.takeOthers();
    try {
      const rows = await session.run(rescheduleJobs, batch.args);
      settler.confirmed(
        batch,
        rows.map((row) => row.id),
      );
      this.#announceDelays(batch.args.jobs.map((job) => job.delayMs));
    } catch (error) {
      settler.failed(batch, error);
      throw error;
    }
  }

  /** Only now: whoever looked before the commit would have seen nothing, and gone to sleep. */
  #announceDelays(delays: readonly (number | null)[]): void {
    const scheduled = delays.filter((delayMs) => delayMs !== null && delayMs > 0) as number[];
    if (scheduled.length > 0) this.parts.onScheduled(Math.min(...scheduled));
  }

  #claimed(demand: Demand, mark: number, workerId: number, rows: readonly ClaimRow[]): void {
    const taken = this.#deliver(workerId, rows);
    this.#contended = taken.length === 0 && (rows[0]?.skipped ?? 0) > 0;
    this.parts.claimer.answered(demand, taken, this.#contended ? -1 : mark);
    if (taken.length > 0) {
      this.parts.pacer.active();
      this.parts.sweeps.moved();
    } else if (this.#rung && !this.#contended) {
      this.parts.sweeps.ask();
    }
    this.#rung = false;
  }

  /**
   * Comes before claims, or a queue with more work than slots would never be swept: stragglers and jobs of new priorities would wait
   * for the end of its backlog. True when it found something.
   */
  async #sweepIfDue(): Promise<boolean> {
    if (!this.#maySweep()) return false;
    const kind = this.parts.sweeps.due(performance.now());
    return kind === undefined ? false : this.#sweep(kind);
  }

  /** Without a free slot a sweep could take nothing. */
  #maySweep(): boolean {
    return this.#mayClaim() && this.parts.claimer.capacity() !== undefined;
  }

  async #sweep(kind: 'recent' | 'deep'): Promise<boolean> {
    const { claimer, sweeps, session, keeper } = this.parts;
    const capacity = claimer.capacity();
    if (capacity === undefined) return false;
    const startedAt = performance.now();
    const workerId = keeper.workerId;
    const rows = await session.run(sweepJobs, { workerId, ...capacity, deep: kind === 'deep' });
    const now = performance.now();
    sweeps.swept(kind, now, now - startedAt, rows.at(-1)?.unclean ?? 0);
    const found = this.#deliver(workerId, rows);
    for (const { queue } of found) this.hint(queue);
    return found.length > 0;
  }

  async #lookForAlone(): Promise<void> {
    const { claimer, isolation, session } = this.parts;
    const [alone] = await session.run(aloneWaiting, { queues: claimer.queues });
    if (alone?.waiting === true) isolation.found();
    else isolation.gone();
  }

  async #claimAlone(): Promise<boolean> {
    const { claimer, isolation, session, keeper } = this.parts;
    const workerId = keeper.workerId;
    const rows = await session.run(claimAlone, { workerId, queues: claimer.queues });
    isolation.answered(rows.length > 0);
    this.#deliver(workerId, rows, true);
    return rows.length > 0;
  }

  /** Gives claimed jobs to their pools. A reply that comes after the worker was declared dead is given back. */
  #deliver(workerId: number, rows: readonly LeaseRow[], alone = false): { queue: string; jobs: number }[] {
    const taken: { queue: string; jobs: number }[] = [];
    for (const row of rows) {
      const jobs = claimedJobsOf(row, alone);
      if (jobs.length === 0) continue;
      const { leaseId, queue } = jobs[0] as { leaseId: string; queue: string };
      const pool = this.parts.claimer.pool(queue);
      if (workerId !== this.parts.keeper.workerId || !this.#claiming || pool === undefined) {
        void this.giveBack([leaseId]);
        continue;
      }
      this.parts.book.opened(leaseId, jobs.length);
      pool.deliver(jobs);
      taken.push({ queue, jobs: jobs.length });
    }
    return taken;
  }

  /** Gives back leases whose jobs have not started here. */
  async giveBack(leases: readonly string[]): Promise<void> {
    await this.parts.session.run(releaseLeases, { leases }).catch((error: unknown) => {
      reportFailure(this.parts.events, 'give back', error); // reconciled later
    });
  }

  async #sleep(): Promise<void> {
    const { doorbell, pacer, claimer } = this.parts;
    if (this.#contended) return void (await this.#wakeup.wait(CONTENDED_MS));
    if (this.#claiming && !doorbell.armed && !pacer.hot && (await doorbell.arm(claimer.queues)))
      return claimer.hintAll();
    const pollMs = pacer.untilLook(doorbell.armed);
    const called = await this.#wakeup.wait(Math.min(pollMs, this.#untilSweep(), this.#untilStale()));
    return called || pacer.untilLook(doorbell.armed) > 0 ? undefined : this.#poll();
  }

  /** A slot that becomes free calls; a lease that is renewed and an isolation that is given up do not. */
  #untilSweep(): number {
    if (this.#maySweep()) return this.parts.sweeps.untilDue(performance.now());
    return this.#claiming && !this.#mayClaim() ? HELD_BACK_MS : Infinity;
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
      for (const claimed of pool.takeBuffered(STALE_BUFFER_MS)) {
        this.parts.settler.add({ claimed, settlement: { kind: 'release' }, runMs: 0, stored: false });
      }
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
