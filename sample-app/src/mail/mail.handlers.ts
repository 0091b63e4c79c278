import { Injectable, UseInterceptors } from '@nestjs/common';
import { Job, Payload, QueueHandler, reject, type RejectOutcome } from 'nestjs-taskmaster';
import { TimingInterceptor } from '../jobs/timing.interceptor.js';
import { emailOf } from './email.js';
import { MailRefusedError, MailTransport } from './mail.transport.js';
import { NormaliseAddressPipe } from './normalise-address.pipe.js';
import { SendEmail, type SendEmailPayload } from './send-email.queue.js';

@Injectable()
export class MailHandlers {
  constructor(private readonly transport: MailTransport) {}

  /**
   * Sends a mail. One that is refused for good is rejected: no more attempts, and the job stays in the table. Any other
   * failure is thrown, and tried again by the policy of the queue.
   */
  @QueueHandler(SendEmail)
  @UseInterceptors(TimingInterceptor)
  async send(
    @Payload(NormaliseAddressPipe) mail: SendEmailPayload,
    job: Job<SendEmailPayload>,
  ): Promise<RejectOutcome | undefined> {
    try {
      await this.transport.deliver(emailOf(mail), { messageId: job.id, signal: job.signal });
      return undefined;
    } catch (error) {
      if (error instanceof MailRefusedError) return reject(error);
      throw error;
    }
  }
}
