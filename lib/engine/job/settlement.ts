import type { JobError } from '../events.js';

/** What to write for a job whose attempt has ended: the pure decision, one step before SQL. */
export type Settlement =
  | { readonly kind: 'complete'; readonly result: unknown }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: JobError }
  | { readonly kind: 'fail'; readonly cause: 'reject' | 'exhausted'; readonly error: JobError }
  | { readonly kind: 'snooze'; readonly delayMs: number }
  /** Handed back unfinished: runs again at once, elsewhere, and no attempt is spent. */
  | { readonly kind: 'release' };
