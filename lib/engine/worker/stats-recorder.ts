import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import { bucketOf, TIME_BUCKETS_MS } from '../job/time-buckets.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { recordStats } from '../sql/stats.js';
import type { EndedAttempt } from './attempt.js';

/** Options of a {@link StatsRecorder}. */
export interface StatsRecorderOptions {
  readonly session: Session;
  readonly events: EventHub;
}

const FLUSH_MS = 10_000;
const BUCKETS = TIME_BUCKETS_MS.length + 1;

/** What has happened to the jobs of one queue since the numbers were last stored. */
interface QueueCounts {
  completed: number;
  failed: number;
  retried: number;
  cancelled: number;
  readonly wait: number[];
  readonly run: number[];
}

/**
 * Counts what becomes of jobs, and stores the numbers every ten seconds. A job costs it a few additions: nothing is allocated, and nothing
 * is sent. What the database does not take is counted again with what comes.
 */
export class StatsRecorder implements Service {
  readonly #ticker: Ticker;
  #queues = new Map<string, QueueCounts>();
  #readyAt = '';
  #readyAtMs = 0;

  constructor(private readonly options: StatsRecorderOptions) {
    this.#ticker = new Ticker({
      intervalMs: FLUSH_MS,
      jitter: 0.2,
      tick: () => this.flush(),
      onError: (error) => reportFailure(options.events, 'record stats', error),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /** An attempt has ended so, and that is stored. */
  count(ended: EndedAttempt): void {
    const { claimed, settlement, runMs } = ended;
    const { kind } = settlement;
    if (kind !== 'complete' && kind !== 'retry' && kind !== 'fail' && kind !== 'cancel') return;
    const counts = this.#queues.get(claimed.queue) ?? this.#opened(claimed.queue);
    if (kind === 'complete') counts.completed += 1;
    else if (kind === 'retry') counts.retried += 1;
    else if (kind === 'fail') counts.failed += 1;
    else counts.cancelled += 1;
    if (runMs === 0) return; // it has not started
    (counts.run[bucketOf(runMs)] as number) += 1;
    (counts.wait[bucketOf(ended.endedAt - runMs - this.#msOf(claimed.readyAt))] as number) += 1;
  }

  /** Jobs of a queue have failed for good, and no attempt of theirs has ended here. */
  failed(queue: string): void {
    (this.#queues.get(queue) ?? this.#opened(queue)).failed += 1;
  }

  /** Stores what has been counted. @throws whatever the statement throws; nothing is lost then */
  async flush(): Promise<void> {
    if (this.#queues.size === 0) return;
    const taken = this.#queues;
    this.#queues = new Map();
    try {
      await this.options.session.run(recordStats, { happened: JSON.stringify([...taken].map(happened)) });
    } catch (error) {
      for (const [queue, counts] of taken) this.#addBack(queue, counts);
      throw error;
    }
  }

  /** Jobs that became ready together come one after the other. */
  #msOf(readyAt: string): number {
    if (readyAt === this.#readyAt) return this.#readyAtMs;
    this.#readyAt = readyAt;
    return (this.#readyAtMs = Date.parse(readyAt));
  }

  #opened(queue: string): QueueCounts {
    const histogram = () => Array.from({ length: BUCKETS }, () => 0);
    const counts = {
      completed: 0,
      failed: 0,
      retried: 0,
      cancelled: 0,
      wait: histogram(),
      run: histogram(),
    };
    this.#queues.set(queue, counts);
    return counts;
  }

  #addBack(queue: string, lost: QueueCounts): void {
    const counts = this.#queues.get(queue) ?? this.#opened(queue);
    counts.completed += lost.completed;
    counts.failed += lost.failed;
    counts.retried += lost.retried;
    counts.cancelled += lost.cancelled;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      (counts.wait[bucket] as number) += lost.wait[bucket] as number;
      (counts.run[bucket] as number) += lost.run[bucket] as number;
    }
  }
}

/** As `record_stats()` takes it. */
function happened([queue, counts]: [string, QueueCounts]): object {
  const { completed, failed, retried, cancelled, wait, run } = counts;
  return { q: queue, c: completed, f: failed, r: retried, x: cancelled, w: wait, u: run };
}
