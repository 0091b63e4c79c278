import { unsealError } from '../codec/sealed-error.js';
import { unsealFor } from '../codec/sealed.js';
import type { EncryptedKind, EncryptionOf } from '../job/encryption.js';
import type { JobRecord } from '../job/job-record.js';

/** A job with what is encrypted of it in clear, where this process can decrypt it; the rest is as it is stored. */
export async function decryptedJob(job: JobRecord, encryptionOf: EncryptionOf): Promise<JobRecord> {
  const opened = (stored: unknown, kind: EncryptedKind) =>
    unsealFor(stored, kind, encryptionOf).catch(() => stored);
  const { lastError } = job;
  return {
    ...job,
    payload: await opened(job.payload, 'payload'),
    result: await opened(job.result, 'result'),
    progress: await opened(job.progress, 'progress'),
    log: await Promise.all(job.log.map((line) => opened(line, 'log'))),
    lastError: lastError === undefined ? undefined : await unsealError(lastError, encryptionOf),
  };
}
