import { isDataError, leavesOutcomeUnknown } from '../connection/pg-errors.js';
import type { EventHub, JobError } from '../events.js';
import type { AckArgs } from '../sql/claim-jobs.js';
import type { Rescheduled, RescheduleArgs } from '../sql/reschedule-jobs.js';
import type { EndedAttempt } from './attempt.js';
import type { LeaseBook } from './lease-book.js';

/** The most acks in one statement. */
const LARGEST_ACK = 2_000;
/** The most other settlements in one statement: each carries an error text. */
const LARGEST_RESCHEDULE = 200;

/** Settlements on their way to the database in one statement. */
export interface SettlementBatch<Args> {
  readonly ended: readonly EndedAttempt[];
  readonly args: Args;
}

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
  #others: EndedAttempt[] = [];
  #sending = 0;
  #unknown = new WeakSet<EndedAttempt>();
  #unstorable = new WeakSet<EndedAttempt>();

  constructor(
    private readonly book: LeaseBook,
    private readonly events: EventHub,
  ) {}

  add(ended: EndedAttempt): void {
    if (ended.stored) this.#confirm([ended], [], undefined);
    else if (ended.settlement.kind === 'complete') this.#acks.push(ended);
    else this.#others.push(ended);
  }

  get hasAcks(): boolean {
    return this.#acks.length > 0 || this.book.unclosed;
  }

  get hasOthers(): boolean {
    return this.#others.length > 0;
  }

  /** Nothing is waiting and nothing is on its way. */
  get empty(): boolean {
    return this.#sending === 0 && !this.hasAcks && !this.hasOthers;
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

  takeOthers(): SettlementBatch<RescheduleArgs> {
    const ended = take(this.#others, LARGEST_RESCHEDULE);
    this.#sending += 1;
    return {
      ended,
      args: { jobs: ended.map((each) => this.#rescheduled(each)), leases: this.#closedBy(ended) },
    };
  }

  /** The statement of a batch was answered; `ours` are the ids it matched, `undefined` all of them. */
  confirmed(batch: SettlementBatch<AckArgs | RescheduleArgs>, ours: readonly string[] | undefined): void {
    this.#sending -= 1;
    this.#confirm(batch.ended, batch.args.leases, ours);
  }

  /** The statement of a batch failed: it will be sent again. */
  failed(batch: SettlementBatch<AckArgs | RescheduleArgs>, error: unknown): void {
    this.#sending -= 1;
    this.book.notClosed(batch.args.leases);
    for (const ended of batch.ended) {
      if (leavesOutcomeUnknown(error)) this.#unknown.add(ended);
      if (isDataError(error)) this.#unstorable.add(ended);
      (ended.settlement.kind === 'complete' ? this.#acks : this.#others).push(ended);
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
    if (!this.events.observed) return;
    const matched = ours === undefined ? undefined : new Set(ours);
    for (const each of ended)
      this.#report(each, matched === undefined || matched.has(each.claimed.id) || this.#unknown.has(each));
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
          error: settlement.counted === false ? null : store(settlement.error),
        };
      case 'snooze':
        return { id, seq, delayMs: settlement.delayMs, counted: false, error: null };
      case 'release':
        return { id, seq, delayMs: 0, counted: false, error: null };
      case 'complete':
        throw new TypeError('an ack is not a reschedule');
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
      case 'snooze':
        return this.events.emit({ type: 'snoozed', ...attempt, delayMs: settlement.delayMs });
      case 'release':
        return this.events.emit({ type: 'released', ...attempt });
    }
  }
}

function take<T>(from: T[], most: number): T[] {
  return from.splice(0, Math.min(most, from.length));
}
