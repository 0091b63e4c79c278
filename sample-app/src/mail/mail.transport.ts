import type { Email } from './email.js';

/** What comes with a mail. */
export interface DeliveryOptions {
  /** The same for every attempt at the same mail, so that a mail server can leave out what it has delivered. */
  readonly messageId: string;
  /** Gives up when it is aborted. */
  readonly signal: AbortSignal;
}

/** Delivers mails. Injected, so that the handler does not know how: give another class to the module for SMTP. */
export abstract class MailTransport {
  /** @throws MailRefusedError when trying again is no use; anything else may go better next time */
  abstract deliver(email: Email, options: DeliveryOptions): Promise<void>;
}

/** The mail server will never take this mail. */
export class MailRefusedError extends Error {
  override readonly name = 'MailRefusedError';
}
