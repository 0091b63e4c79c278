import { Injectable } from '@nestjs/common';
import { Job, JobTx, PublisherService, QueueHandler } from 'nestjs-taskmaster';
import type pg from 'pg';
import { SendEmail } from '../mail/send-email.queue.js';
import { WriteDigest, type WriteDigestPayload } from './digest.queue.js';
import { DigestSchedule } from './digest.schedule.js';
import { dueAt } from './night.js';

/** Who reads the digests. */
const EDITOR = 'editor@example.com';

/** Subscribers since the digest before; nothing is written twice for one night. */
const WRITE = `
  insert into newsletter.digests (night, new_subscribers)
  select $1, count(*)
    from newsletter.subscribers
   where signed_up_at > coalesce((select max(written_at) from newsletter.digests), '-infinity')
  on conflict do nothing
  returning new_subscribers as "newSubscribers"`;

@Injectable()
export class DigestHandlers {
  constructor(
    private readonly publisher: PublisherService,
    private readonly schedule: DigestSchedule,
  ) {}

  /**
   * Writes the digest of a night and mails it. In one transaction with its own ack: the digest, the mail and the
   * digest of the next night are stored together, exactly once.
   */
  @QueueHandler(WriteDigest, { transactional: true })
  async write(
    { night }: WriteDigestPayload,
    job: Job<WriteDigestPayload>,
    @JobTx() tx: pg.PoolClient,
  ): Promise<void> {
    const { rows } = await tx.query<{ newSubscribers: number }>(WRITE, [night]);
    const [digest] = rows;
    if (digest !== undefined) {
      await this.publisher.enqueue(SendEmail, {
        to: EDITOR,
        template: 'digest',
        values: { night, ...digest },
      });
    }
    await this.schedule.ensure(tx, laterOf(dueAt(night), new Date()), job.id);
  }
}

/** This process's clock may be behind the database's, which decides when a job is due: the same night must not come again. */
function laterOf(one: Date, other: Date): Date {
  return one > other ? one : other;
}
