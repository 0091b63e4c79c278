import { Injectable, type PipeTransform } from '@nestjs/common';
import { normaliseAddress } from './address.js';
import type { SendEmailPayload } from './send-email.queue.js';

/** Mails come from plain SQL too, with the address in whatever spelling. */
@Injectable()
export class NormaliseAddressPipe implements PipeTransform<SendEmailPayload, SendEmailPayload> {
  transform(mail: SendEmailPayload): SendEmailPayload {
    return { ...mail, to: normaliseAddress(mail.to) };
  }
}
