import type { Session } from '../connection/session.js';
import { reportFailure } from '../connection/pg-errors.js';
import type { EventHub } from '../events.js';
import { JOB_FLAGS } from '../job/job-flags.js';
import {
  ackAndClaimJobs,
  ackJobs,
  claimJobs,
  claimLimited,
  type ClaimLimitedRow,
  type ClaimRow,
} from '../sql/claim-jobs.js';
import { finishJobs } from '../sql/finish-jobs.js';
import { releaseLeases } from '../sql/lease-jobs.js';
import { holdQueues } from '../sql/queue-state.js';
import { rescheduleJobs } from '../sql/reschedule-jobs.js';
import { aloneWaiting, claimAlone, sweepJobs } from '../sql/sweep-jobs.js';
import type { EndedAttempt } from './attempt.js';
import { claimedJobsOf, type LeaseRow } from './claimed-jobs.js';
import type { Claimer, Demand, Yield } from './claimer.js';
import type { Isolation } from './isolation.js';
import type { JobNotes } from './job-notes.js';
import type { LeaseBook } from './lease-book.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { LimitedQueues } from './limited-queues.js';
import type { SettlementBatch, Settler } from './settler.js';
import type { SweepClock } from './sweep-clock.js';

/** The parts an {@link Exchange} works with. */
export interface ExchangeParts {
  readonly session: Session;
  readonly events: EventHub;
  readonly claimer: Claimer;
  readonly settler: Settler;
  readonly notes: JobNotes;
  readonly book: LeaseBook;
  readonly keeper: LeaseKeeper;
  readonly limited: LimitedQueues;
  readonly sweeps: SweepClock;
  readonly isolation: Isolation;
  /** Jobs are stored that are to run again after a delay: whoever promotes should know, in milliseconds from now. */
  readonly onScheduled: (inMs: number) => void;
  /** Jobs have ended that mean something to others. */
  readonly onEffects: () => void;
}

/** What to take in one exchange. */
export interface Wanted {
  /** By the plain claim. */
  readonly plain?: Demand | undefined;
  /** Of queues with limits, and in groups. */
  readonly limited?: Demand | undefined;
}

/** What an exchange brought. */
export interface Taken {
  readonly jobs: number;
  /** Nothing, and another claimer was at work: come back in a moment. */
  readonly contended: boolean;
}

/** How many jobs another claimer may have, when it is told by nobody else: the hint of the queue stays. */
const KEEP_HINTS = -1;

/**
 * What a worker says to the database about jobs and what it hears: it hands in those that have ended and takes those that are to run.
 * When is decided by the {@link Dispatcher}.
 */
export class Exchange {
  #accepting = true;

  constructor(private readonly parts: ExchangeParts) {}

  /** Whatever is claimed from now on is given back. */
  close(): void {
    this.#accepting = false;
  }

  /** What is claimed is taken again. */
  reopen(): void {
    this.#accepting = true;
  }

  /** Hands in all that has ended, and takes what is wanted. The statements go out together, in this order. */
  async hand({ plain, limited }: Wanted): Promise<Taken> {
    const { settler, notes } = this.parts;
    const statements = await Promise.allSettled([
      notes.pending ? notes.flush() : undefined,
      settler.hasOthers ? this.#reschedule() : undefined,
      settler.hasFinished ? this.#finish() : undefined,
      this.#ackAndClaim(plain),
      limited === undefined ? undefined : this.#claimLimited(limited),
    ]);
    const failed = statements.findLast((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const taken = statements.flatMap((each) =>
      each.status === 'fulfilled' && each.value ? [each.value] : [],
    );
    const jobs = taken.reduce((sum, each) => sum + each.jobs, 0);
    return { jobs, contended: jobs === 0 && taken.some((each) => each.contended) };
  }

  /** Looks behind the heads of the lanes. */
  async sweep(kind: 'recent' | 'deep', capacity: Demand): Promise<readonly Yield[]> {
    const { sweeps, session, keeper, limited } = this.parts;
    const startedAt = performance.now();
    const workerId = keeper.workerId;
    if (kind === 'deep') limited.forget();
    const rows = await session.run(sweepJobs, { workerId, ...capacity, deep: kind === 'deep' });
    const now = performance.now();
    sweeps.swept(kind, now, now - startedAt, rows.at(-1)?.unclean ?? 0);
    return this.#deliver(workerId, rows);
  }

  /** One job on its last chance, for a worker that runs nothing else. */
  async claimAlone(): Promise<boolean> {
    const { claimer, isolation, session, keeper } = this.parts;
    const workerId = keeper.workerId;
    const rows = await session.run(claimAlone, { workerId, queues: claimer.queues });
    isolation.answered(rows.length > 0);
    this.#deliver(workerId, rows, true);
    return rows.length > 0;
  }

  /** Whether a job on its last chance still waits for this worker to be empty. */
  async lookForAlone(): Promise<void> {
    const { claimer, isolation, session } = this.parts;
    const [alone] = await session.run(aloneWaiting, { queues: claimer.queues });
    if (alone?.waiting === true) isolation.found();
    else isolation.gone();
  }

  /** An attempt has ended that is stored already. */
  stored(ended: EndedAttempt): void {
    this.#madeRoom([ended]);
  }

  /** Gives back leases whose jobs have not started here. */
  async giveBack(leases: readonly string[]): Promise<void> {
    await this.parts.session.run(releaseLeases, { leases }).catch((error: unknown) => {
      reportFailure(this.parts.events, 'give back', error); // reconciled later
    });
  }

  async #ackAndClaim(plain: Demand | undefined): Promise<Taken | undefined> {
    const { settler } = this.parts;
    if (plain === undefined) return settler.hasAcks ? this.#ack() : undefined;
    return settler.hasAcks ? this.#ackThenClaim(plain) : this.#claim(plain);
  }

  async #claim(demand: Demand): Promise<Taken> {
    const { claimer, session, keeper } = this.parts;
    const mark = claimer.mark;
    const claim = { workerId: keeper.workerId, ...demand };
    return this.#claimed(demand, mark, claim.workerId, await session.run(claimJobs, claim));
  }

  async #ackThenClaim(demand: Demand): Promise<Taken> {
    const { claimer, session, keeper, settler } = this.parts;
    const mark = claimer.mark;
    const claim = { workerId: keeper.workerId, ...demand };
    const rows = await this.#settle(settler.takeAcks(), async (args) => {
      const answer = await session.run(ackAndClaimJobs, { ...args, ...claim });
      return { ours: answer[0]?.acked ?? undefined, answer };
    });
    return this.#claimed(demand, mark, claim.workerId, rows);
  }

  async #ack(): Promise<undefined> {
    const { settler, session } = this.parts;
    await this.#settle(settler.takeAcks(), async (args) => {
      const [row] = await session.run(ackJobs, args);
      return { ours: row?.acked ?? undefined, answer: undefined };
    });
  }

  async #finish(): Promise<undefined> {
    const { settler, session } = this.parts;
    await this.#settle(settler.takeFinished(), async (args) => {
      const rows = await session.run(finishJobs, args);
      return { ours: rows.map((row) => row.id), answer: undefined };
    });
  }

  async #reschedule(): Promise<undefined> {
    const { keeper, settler, session } = this.parts;
    const batch = settler.takeOthers();
    const holds = holdsOf(batch.ended);
    const held = holds.length === 0 ? undefined : session.run(holdQueues, { holds });
    const settled = this.#settle(batch, async (args) => {
      const rows = await session.run(rescheduleJobs, { ...args, workerId: keeper.workerId });
      const expired = rows.filter((row) => row.expired).map((row) => row.id);
      return { ours: rows.map((row) => row.id), expired, answer: undefined };
    });
    await Promise.all([held, settled]); // a connection that breaks fails both
    this.#announceDelays(batch.args.jobs.map((job) => job.delayMs));
  }

  /** Sends a batch of settlements, and tells the settler what became of it. */
  async #settle<Args extends Parameters<Settler['failed']>[0]['args'], Answer>(
    batch: SettlementBatch<Args>,
    send: (args: Args) => Promise<{
      readonly ours: readonly string[] | undefined;
      readonly expired?: readonly string[];
      readonly answer: Answer;
    }>,
  ): Promise<Answer> {
    const { settler } = this.parts;
    try {
      const { ours, expired, answer } = await send(batch.args);
      settler.confirmed(batch, ours, expired);
      this.#madeRoom(batch.ended);
      return answer;
    } catch (error) {
      settler.failed(batch, error);
      throw error;
    }
  }

  /** Where limits hold jobs back, the end of one lets another start; and it may mean something to jobs of other queues. */
  #madeRoom(ended: readonly EndedAttempt[]): void {
    const { limited, claimer, onEffects } = this.parts;
    if (limited.any) {
      for (const { claimed } of ended) if (limited.has(claimed.queue)) claimer.hint(claimed.queue);
    }
    if (ended.some(({ claimed }) => (claimed.flags & ~JOB_FLAGS.hasSteps) !== 0)) onEffects();
  }

  /** Only now: whoever looked before the commit would have seen nothing, and gone to sleep. */
  #announceDelays(delays: readonly (number | null)[]): void {
    const scheduled = delays.filter((delayMs) => delayMs !== null && delayMs > 0) as number[];
    if (scheduled.length > 0) this.parts.onScheduled(Math.min(...scheduled));
  }

  #claimed(demand: Demand, mark: number, workerId: number, rows: readonly ClaimRow[]): Taken {
    const { claimer, limited, sweeps } = this.parts;
    const yields = this.#deliver(workerId, rows);
    const contended = yields.length === 0 && (rows[0]?.skipped ?? 0) > 0;
    limited.learned(demand.queues, rows[0]?.limited, rows[0]?.grouped);
    const now = performance.now();
    claimer.answered(demand, yields, contended ? KEEP_HINTS : mark, (queue) => limited.isDue(queue, now));
    if (yields.length > 0) sweeps.moved();
    return { jobs: jobsIn(yields), contended };
  }

  async #claimLimited(demand: Demand): Promise<Taken> {
    const { claimer, session, keeper } = this.parts;
    const mark = claimer.mark;
    const workerId = keeper.workerId;
    const rows = await session.run(claimLimited, { workerId, ...demand });
    const yields = this.#deliver(workerId, rows);
    const contended = this.#waits(rows);
    claimer.answered(demand, yields, contended ? KEEP_HINTS : mark);
    return { jobs: jobsIn(yields), contended };
  }

  /** Remembers when to come again. True when it is in a moment, because another claimer was at work. */
  #waits(rows: readonly ClaimLimitedRow[]): boolean {
    const now = performance.now();
    let contended = false;
    for (const { lease_id: leaseId, queue_name: queue, wait_ms: waitMs } of rows) {
      if (leaseId !== null || waitMs === null) continue;
      if (waitMs <= CONTENDED_WAIT_MS) contended = true;
      else this.parts.limited.wait(queue, waitMs, now, { someKeys: this.#isKeyed(queue) });
    }
    return contended;
  }

  /** Whether its rate is one of each key: that of another key, which comes later, may have room. */
  #isKeyed(queue: string): boolean {
    return this.parts.claimer.pool(queue)?.handler.options.rateLimit?.key !== undefined;
  }

  /** Gives claimed jobs to their pools. A reply that comes after the worker was declared dead is given back. */
  #deliver(workerId: number, rows: readonly LeaseRow[], alone = false): Yield[] {
    const taken: Yield[] = [];
    for (const row of rows) {
      const jobs = claimedJobsOf(row, alone);
      if (jobs.length === 0) continue;
      const { leaseId, queue } = jobs[0] as { leaseId: string; queue: string };
      const pool = this.parts.claimer.pool(queue);
      if (workerId !== this.parts.keeper.workerId || !this.#accepting || pool === undefined) {
        void this.giveBack([leaseId]);
        continue;
      }
      this.parts.book.opened(leaseId, jobs.length);
      pool.deliver(jobs);
      taken.push({ queue, jobs: jobs.length });
    }
    return taken;
  }
}

/** Waits of {@link claimLimited} up to this mean that another claimer was at work. */
const CONTENDED_WAIT_MS = 2;

function jobsIn(yields: readonly Yield[]): number {
  return yields.reduce((sum, each) => sum + each.jobs, 0);
}

/** The queues that handlers have told to slow down, and for how long. */
function holdsOf(ended: readonly EndedAttempt[]): { queue: string; delayMs: number }[] {
  return ended.flatMap(({ claimed, settlement }) =>
    settlement.kind === 'hold' ? [{ queue: claimed.queue, delayMs: settlement.delayMs }] : [],
  );
}
