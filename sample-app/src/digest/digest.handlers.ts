import { Injectable } from '@nestjs/common';
import { Job, JobTx, PublisherService, QueueHandler, Scheduled } from 'nestjs-taskmaster';
import type pg from 'pg';
import { SendEmail } from '../mail/send-email.queue.js';
import { WriteDigest, type WriteDigestPayload } from './digest.queue.js';

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
  constructor(private readonly publisher: PublisherService) {}

  /**
   * Writes the digest of a night and mails it. In one transaction with its own ack: the digest and the mail are stored together,
   * exactly once. Due every night, once for any number of processes; a night that nobody was there for is made up for.
   */
  @Scheduled('0 2 * * *', { name: 'nightly-digest', timezone: 'Europe/Berlin', overlap: 'queue' })
  @QueueHandler(WriteDigest, { transactional: true })
  async write(
    payload: WriteDigestPayload,
    job: Job<WriteDigestPayload>,
    @JobTx() tx: pg.PoolClient,
  ): Promise<void> {
    const night = payload.night ?? dayOf(job.scheduledFor ?? job.createdAt);
    const { rows } = await tx.query<{ newSubscribers: number }>(WRITE, [night]);
    const [digest] = rows;
    if (digest === undefined) return;
    await this.publisher.enqueue(SendEmail, {
      to: EDITOR,
      template: 'digest',
      values: { night, ...digest },
    });
  }
}

function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}
