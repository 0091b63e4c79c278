import type { JobError } from '../events.js';

/** What is stored with a job that was not done by its `expiresAt`. The database says the same where it finds one. */
export const EXPIRED: JobError = Object.freeze({
  name: 'JobExpired',
  code: 'TM_EXPIRED',
  message: 'The job was not done by its expiresAt, and may not be begun any more.',
});

/** The same, when an attempt had failed and the next would have come too late. */
export function expiredAfter(error: JobError | undefined): JobError {
  return error === undefined ? EXPIRED : { ...EXPIRED, cause: error };
}
