import { defineQueue, type PayloadOf } from 'nestjs-taskmaster';
import { z } from 'zod';
import { Address } from './address.js';

/**
 * Mails to be sent. The schema is checked when a job is enqueued and again before each attempt, since plain SQL
 * enqueues too; what it fills in, the handler finds filled in.
 */
export const SendEmail = defineQueue('send_email', {
  schema: z.object({
    to: Address,
    template: z.enum(['welcome', 'digest']).default('welcome'),
    values: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  }),
  concurrency: 5,
  maxAttempts: 5,
  backoff: [1_000, 10_000, 60_000],
  timeoutMs: 60_000,
});

export type SendEmailPayload = PayloadOf<typeof SendEmail>;
