import type { SendEmailPayload } from './send-email.queue.js';

/** A mail as it is handed to the mail server. */
export interface Email {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Writes the mail of a job. */
export function emailOf({ to, template, values }: SendEmailPayload): Email {
  switch (template) {
    case 'welcome':
      return { to, subject: 'Welcome', text: `You will hear from us at ${to}.` };
    case 'digest':
      return {
        to,
        subject: `The night of ${values['night']}`,
        text: `New subscribers: ${values['newSubscribers']}.`,
      };
  }
}
