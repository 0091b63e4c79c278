import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import type { LeaseOptions } from '../options.js';
import { rescueJobs, type RescuedRow, serverCondition, type ServerConditionRow } from '../sql/rescue-jobs.js';
import { aloneWaiting } from '../sql/sweep-jobs.js';
import { ClockWatch } from './clock-watch.js';

/** Options of a {@link Rescuer}. */
export interface RescuerOptions {
  readonly session: Session;
  readonly events: EventHub;
  readonly lease: Required<LeaseOptions>;
  /** False while this process cannot be sure to be alive itself. */
  readonly mayRescue: () => boolean;
  /** The queues this process works on. */
  readonly queues: () => readonly string[];
  /** Jobs of this queue were given back. */
  readonly onReady: (queue: string) => void;
  /** A job has failed for good, because it has crashed its worker once too often. */
  readonly onFailed: (queue: string) => void;
  /** Jobs on their last chance wait. */
  readonly onAlone: () => void;
}

/** Leases in one pass; each may name hundreds of jobs. */
const LIMIT = 100;
/** A NOTIFY queue this full is said once, and again after it was emptier. */
const NOTIFY_WARNING = 0.25;

/**
 * Gives the jobs of dead workers back. Every process does it, at jittered times, without a leader.
 *
 * During an outage of its own, and for one lease time after it or after a jump of the database's clock, it does not: the
 * others could not heartbeat either, and must not be taken for dead before they had the chance to.
 */
export class Rescuer implements Service {
  readonly #ticker: Ticker;
  readonly #clock = new ClockWatch();
  #graceUntil = 0;
  #failedSince: number | undefined;
  #warned = false;

  constructor(private readonly options: RescuerOptions) {
    this.#ticker = new Ticker({
      intervalMs: options.lease.heartbeatMs,
      jitter: 0.5,
      tick: () => this.#tick(),
      onError: (error) => this.#failed(error),
    });
  }

  /** Looks at the server's clock first: a jump before the first pass is one as well. */
  async start(): Promise<void> {
    await this.#look().catch((error: unknown) => this.#failed(error));
    await this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /** The database was out of reach, or its clock jumped: nobody is declared dead for one lease time. */
  grace(): void {
    this.#graceUntil = performance.now() + this.options.lease.ttlMs;
  }

  async #tick(): Promise<void> {
    const server = await this.#look();
    this.#recovered();
    const inGrace = performance.now() < this.#graceUntil || !this.options.mayRescue();
    const rescued = server?.abandoned === true && !inGrace && (await this.#rescue());
    if (rescued ? await this.#isAlone() : server?.alone) this.options.onAlone();
  }

  /** Before every rescue: after a jump of its clock the server takes everybody for dead who has not heartbeat since. */
  async #look(): Promise<ServerConditionRow | undefined> {
    const { session, queues } = this.options;
    const askedMs = performance.now();
    const [server] = await session.run(serverCondition, { queues: queues() });
    if (server === undefined) return undefined;
    if (this.#clock.jumped(server.now_ms, askedMs, performance.now())) this.grace();
    this.#watchNotifyQueue(server.usage);
    return server;
  }

  /** Asked again after a rescue, which may have left jobs their last chance. */
  async #isAlone(): Promise<boolean> {
    const { session, queues } = this.options;
    const [alone] = await session.run(aloneWaiting, { queues: queues() });
    return alone?.waiting === true;
  }

  /** Whether there was anything to be given back. */
  async #rescue(): Promise<boolean> {
    const { session, lease, onReady } = this.options;
    let rescued = false;
    let rows: readonly RescuedRow[];
    do {
      rows = await session.run(rescueJobs, { limit: LIMIT, maxCrashes: lease.maxCrashes });
      rescued ||= rows.length > 0;
      for (const row of rows) this.#report(row);
      for (const queue of new Set(rows.filter((row) => !row.failed).map((row) => row.queue_name)))
        onReady(queue);
    } while (rows.length >= LIMIT); // a lease names at least one job: fewer rows mean fewer leases
    return rescued;
  }

  #report(row: RescuedRow): void {
    if (row.failed) this.options.onFailed(row.queue_name);
    this.options.events.emit({
      type: 'rescued',
      queue: row.queue_name,
      jobId: row.id,
      runCount: row.run_count,
      failed: row.failed,
    });
  }

  #failed(error: unknown): void {
    this.#failedSince ??= performance.now();
    reportFailure(this.options.events, 'rescue', error);
  }

  #recovered(): void {
    const failedSince = this.#failedSince;
    this.#failedSince = undefined;
    if (failedSince !== undefined && performance.now() - failedSince > this.options.lease.ttlMs / 2)
      this.grace();
  }

  #watchNotifyQueue(usage: number): void {
    if (usage < NOTIFY_WARNING) {
      this.#warned = false;
    } else if (!this.#warned) {
      this.#warned = true;
      const share = Math.round(usage * 100);
      this.options.events.emit({
        type: 'engineWarning',
        message: `the server's NOTIFY queue is ${share} % full: a listener somewhere in the cluster is stuck in a transaction`,
      });
    }
  }
}
