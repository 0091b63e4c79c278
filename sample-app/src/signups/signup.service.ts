import { ConflictException, Injectable } from '@nestjs/common';
import { PublisherService } from 'nestjs-taskmaster';
import { normaliseAddress } from '../mail/address.js';
import { SendEmail } from '../mail/send-email.queue.js';

/** A sign-up that is stored. */
export interface Signup {
  readonly id: string;
  readonly email: string;
  /** The job that sends the welcome mail. */
  readonly jobId: string;
}

@Injectable()
export class SignupService {
  constructor(private readonly publisher: PublisherService) {}

  /**
   * Stores a subscriber and the job that welcomes them, in one transaction: there is never one without the other.
   *
   * @throws ConflictException when the address has signed up before; no mail is sent then
   */
  async signUp(address: string): Promise<Signup> {
    const email = normaliseAddress(address);
    return this.publisher.withTransaction(async (tx) => {
      const { rows } = await tx.query<{ id: string }>(
        'insert into newsletter.subscribers (email) values ($1) on conflict do nothing returning id',
        [email],
      );
      const [subscriber] = rows;
      if (subscriber === undefined) throw new ConflictException(`${email} has signed up before.`);
      // No `tx` needed: inside withTransaction() an enqueue joins the transaction by itself.
      const job = await this.publisher.enqueue(SendEmail, { to: email });
      return { id: subscriber.id, email, jobId: job.id };
    });
  }
}
