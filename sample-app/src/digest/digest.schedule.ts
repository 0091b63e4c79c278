import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { OnJobEvent, PublisherService, type Transaction } from 'nestjs-taskmaster';
import { WriteDigest } from './digest.queue.js';
import { dueAt, nightAfter } from './night.js';

/**
 * Keeps exactly one digest scheduled, however many processes run. Taskmaster has no cron yet, so each digest
 * schedules the next one; this starts the chain at boot, and again when a digest has failed for good.
 */
@Injectable()
export class DigestSchedule implements OnApplicationBootstrap {
  readonly #logger = new Logger('Digest');

  constructor(private readonly publisher: PublisherService) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.#resume();
  }

  /**
   * Schedules the digest of the first night after `moment`, in a transaction, unless one waits or runs already.
   *
   * @param besides a job that does not count, because the transaction ends it
   */
  async ensure(tx: Transaction, moment: Date, besides = '0'): Promise<void> {
    // Of processes that look at the same time, one schedules, and the others see it.
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('newsletter.digest', 0))`);
    const { rows } = (await tx.query(PENDING, [WriteDigest.name, besides])) as { rows: unknown[] };
    if (rows.length > 0) return;
    const night = nightAfter(moment);
    await this.publisher.enqueue(WriteDigest, { night }, { runAt: dueAt(night), tx });
    this.#logger.log(`the next digest is due at ${dueAt(night).toISOString()}`);
  }

  @OnJobEvent('failed', WriteDigest)
  async onFailed(): Promise<void> {
    await this.#resume();
  }

  async #resume(): Promise<void> {
    await this.publisher.withTransaction((tx) => this.ensure(tx, new Date()));
  }
}

const PENDING = `
  select from taskmaster.job_states
   where queue_name = $1 and state <> 'failed' and id <> $2`;
