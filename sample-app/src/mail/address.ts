import { z } from 'zod';

/**
 * An address as people type it. Whether there is a mailbox behind it, only the mail server knows, so this keeps out
 * nothing but what must not get into the header of a mail.
 */
export const Address = z
  .string()
  .min(1)
  .max(254)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

/** One spelling for one mailbox. */
export function normaliseAddress(address: string): string {
  return address.trim().toLowerCase();
}
