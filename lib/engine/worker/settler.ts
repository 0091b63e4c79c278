import { isDataError, leavesOutcomeUnknown } from '../connection/pg-errors.js';
import type { EventHub, JobError } from '../events.js';
import { resultText } from '../codec/result-text.js';
import { expiredAfter } from '../job/job-expired.js';
import type { AckArgs } from '../sql/claim-jobs.js';
import type { FinishArgs } from '../sql/finish-jobs.js';
import type { Rescheduled, RescheduleArgs } from '../sql/reschedule-jobs.js';
import type { EndedAttempt } from './attempt.js';
import type { LeaseBook } from './lease-book.js';

/** The most acks in one statement. */
const LARGEST_ACK = 2_000;
/** The most jobs that are kept in one statement: each carries a result. */
const LARGEST_FINISH = 500;
/** The most other settlements in one statement: each carries an error text. */
const LARGEST_RESCHEDULE = 200;

/** Settlements on their way to the database in one statement. */
export interface SettlementBatch<Args> {
  readonly ended: readonly EndedAttempt[];
  readonly args: Args;
}

type SettlementArgs = AckArgs | FinishArgs | RescheduleArgs;

/** An error whose text the server refuses is stored as this: the settlement matters more. */
const UNSTORABLE = JSON.stringify({
  name: 'Error',
  message: '(an error that could not be stored)',
} satisfies JobError);

/**
 * The outcomes of ended attempts until they are stored: gathered into batches, sent by the dispatcher, kept until the
 * database has confirmed them. What it does not confirm as ours is reported as a lost lease.
 *
 * When a statement's outcome is unknown (its reply was lost) it is sent again; a job that is not found then had been
 * settled by the first sending, unless its token has moved on, and nobody could tell the difference afterwards.
 */
export class Settler {
  #acks: EndedAttempt[] = [];
  /** Those that are kept, and those that were cancelled. */
  #finished: EndedAttempt[] = [];
  #others: EndedAttempt[] = [];
  #sending = 0;
  #unknown = new WeakSet<EndedAttempt>();
  #unstorable = new WeakSet<EndedAttempt>();

  constructor(
    private readonly book: LeaseBook,
    private readonly events: EventHub,
    private readonly onSettled: (ended: EndedAttempt) => void,
  ) {}

  add(ended: EndedAttempt): void {
    if (ended.stored) this.#confirm([ended], [], undefined);
    else this.#listOf(ended).push(ended);
  }

  #listOf({ settlement, keepMs }: EndedAttempt): EndedAttempt[] {
    if (settlement.kind === 'cancel') return this.#finished;
    if (settlement.kind !== 'complete') return this.#others;
    return keepMs === 0 ? this.#acks : this.#finished;
  }

  get hasAcks(): boolean {
    return this.#acks.length > 0 || this.book.unclosed;
  }

  get hasFinished(): boolean {
    return this.#finished.length > 0;
  }

  get hasOthers(): boolean {
    return this.#others.length > 0;
  }

  /** Nothing is waiting and nothing is on its way. */
  get empty(): boolean {
    return this.#sending === 0 && !this.hasAcks && !this.hasFinished && !this.hasOthers;
  }

  takeAcks(): SettlementBatch<AckArgs> {
    const ended = take(this.#acks, LARGEST_ACK);
    this.#sending += 1;
    return {
      ended,
      args: {
        ids: ended.map((each) => each.claimed.id),
        seqs: ended.map((each) => each.claimed.seq),
        leases: this.#closedBy(ended),
      },
    };
  }

  /** Those that ended like the first of them. */
  takeFinished(): SettlementBatch<FinishArgs> {
    const kind = this.#finished[0]?.settlement.kind;
    const ended = this.#finished.filter((each) => each.settlement.kind === kind).slice(0, LARGEST_FINISH);
    const taken = new Set(ended);
    this.#finished = this.#finished.filter((each) => !taken.has(each));
    this.#sending += 1;
    return {
      ended,
      args: {
        state: kind === 'cancel' ? 'cancelled' : 'completed',
        jobs: ended.map((each) => this.#kept(each)),
        leases: this.#closedBy(ended),
      },
    };
  }

  takeOthers(): SettlementBatch<RescheduleArgs> {
    const ended = take(this.#others, LARGEST_RESCHEDULE);
    this.#sending += 1;
    return {
      ended,
      args: { jobs: ended.map((each) => this.#rescheduled(each)), leases: this.#closedBy(ended) },
    };
  }

  /**
   * The statement of a batch was answered; `ours` are the ids it matched, `undefined` all of them, `expired` those that failed because
   * they would have run again after their `expiresAt`.
   */
  confirmed(
    batch: SettlementBatch<SettlementArgs>,
    ours: readonly string[] | undefined,
    expired: readonly string[] = [],
  ): void {
    this.#sending -= 1;
    const over = new Set(expired);
    const ended =
      over.size === 0
        ? batch.ended
        : batch.ended.map((each) => (over.has(each.claimed.id) ? expiredInstead(each) : each));
    this.#confirm(ended, batch.args.leases, ours);
  }

  /** The statement of a batch failed: it will be sent again. */
  failed(batch: SettlementBatch<SettlementArgs>, error: unknown): void {
    this.#sending -= 1;
    this.book.notClosed(batch.args.leases);
    for (const ended of batch.ended) {
      if (leavesOutcomeUnknown(error)) this.#unknown.add(ended);
      if (isDataError(error)) this.#unstorable.add(ended);
      this.#listOf(ended).push(ended);
    }
  }

  #closedBy(ended: readonly EndedAttempt[]): string[] {
    return this.book.closedBy(ended.map((each) => each.claimed.leaseId));
  }

  #confirm(
    ended: readonly EndedAttempt[],
    closed: readonly string[],
    ours: readonly string[] | undefined,
  ): void {
    this.book.settled(
      ended.map((each) => each.claimed.leaseId),
      closed,
    );
    const matched = ours === undefined ? undefined : new Set(ours);
    const { observed } = this.events;
    for (const each of ended) {
      const isOurs = matched === undefined || matched.has(each.claimed.id) || this.#unknown.has(each);
      if (isOurs) this.onSettled(each);
      if (observed) this.#report(each, isOurs);
    }
  }

  #kept(ended: EndedAttempt): FinishArgs['jobs'][number] {
    const { claimed, settlement, keepMs } = ended;
    const result = settlement.kind === 'complete' ? resultText(settlement.result) : null;
    return {
      id: claimed.id,
      seq: claimed.seq,
      result: this.#unstorable.has(ended) ? null : result,
      keepMs: keepMs === Infinity ? null : keepMs,
    };
  }

  #rescheduled(ended: EndedAttempt): Rescheduled {
    const { id, seq } = ended.claimed;
    const store = (error: JobError) => (this.#unstorable.has(ended) ? UNSTORABLE : JSON.stringify(error));
    const { settlement } = ended;
    switch (settlement.kind) {
      case 'retry':
        return { id, seq, delayMs: settlement.delayMs, counted: true, error: store(settlement.error) };
      case 'fail':
        return {
          id,
          seq,
          delayMs: null,
          counted: settlement.counted !== false,
          error:
            settlement.counted === false && settlement.cause === 'exhausted' ? null : store(settlement.error),
        };
      case 'snooze':
        return {
          id,
          seq,
          delayMs: settlement.delayMs,
          counted: false,
          error: settlement.error === undefined ? null : store(settlement.error),
        };
      case 'hold':
        return { id, seq, delayMs: settlement.delayMs, counted: false, error: null };
      case 'release':
        return { id, seq, delayMs: 0, counted: false, error: null };
      case 'complete':
      case 'cancel':
      case 'sleep':
      case 'leave':
        throw new TypeError(`${settlement.kind} is not a reschedule`);
    }
  }

  #report({ claimed, settlement, runMs }: EndedAttempt, ours: boolean): void {
    const attempt = { queue: claimed.queue, jobId: claimed.id, runCount: claimed.runCount + 1 };
    if (!ours) return this.events.emit({ type: 'leaseLost', ...attempt });
    switch (settlement.kind) {
      case 'complete':
        return this.events.emit({ type: 'completed', ...attempt, runMs });
      case 'retry':
        return this.events.emit({
          type: 'retried',
          ...attempt,
          runMs,
          delayMs: settlement.delayMs,
          error: settlement.error,
        });
      case 'fail':
        return this.events.emit({
          type: 'failed',
          ...attempt,
          runMs,
          cause: settlement.cause,
          error: settlement.error,
        });
      case 'cancel':
        return this.events.emit({ type: 'cancelled', ...attempt, runMs });
      case 'snooze':
        return this.events.emit({
          type: 'snoozed',
          ...attempt,
          delayMs: settlement.delayMs,
          ...(settlement.error === undefined ? {} : { error: settlement.error }),
        });
      case 'hold':
        return this.events.emit({ type: 'snoozed', ...attempt, delayMs: settlement.delayMs });
      case 'sleep':
        return this.events.emit({ type: 'sleeping', ...attempt, runMs, delayMs: settlement.delayMs });
      case 'leave':
      case 'release':
        return this.events.emit({ type: 'released', ...attempt });
    }
  }
}

function take<T>(from: T[], most: number): T[] {
  return from.splice(0, Math.min(most, from.length));
}

/** As the database has settled it: instead of waiting for longer than it may. */
function expiredInstead(ended: EndedAttempt): EndedAttempt {
  const { settlement } = ended;
  const reason = 'error' in settlement ? settlement.error : undefined;
  return { ...ended, settlement: { kind: 'fail', cause: 'expired', error: expiredAfter(reason) } };
}
