import type { JobError } from '../events.js';
import type { EncryptionOf, PayloadEncryption } from '../job/encryption.js';
import { isSealed, seal, type Sealed, unsealFor } from './sealed.js';

/** In place of a message that may quote what is encrypted. */
const WITHHELD = 'What was thrown is encrypted, as the payloads of the queue are.';

/** A line of a stack that names a place in a file. */
const FRAME = /^\s+at (?:.{1,200} \()?[^\s()]{1,500}:\d+:\d+\)?$/;

/**
 * An error of a queue whose payloads are encrypted, as it is stored: name, code and where it was thrown in clear, for people and counts; the
 * whole of it encrypted beside them. What cannot be encrypted is left out: the outcome of the job is worth more than its text.
 */
export async function sealError(
  error: JobError,
  encryption: PayloadEncryption,
  queue: string,
): Promise<JobError> {
  const shown = withheld(error);
  try {
    return { ...shown, ...(await seal(JSON.stringify(error), encryption, { queue, kind: 'error' })) };
  } catch {
    return shown;
  }
}

/** An error as it was thrown, where this process can decrypt it; else as it is stored. */
export async function unsealError(error: JobError, encryptionOf: EncryptionOf): Promise<JobError> {
  const { $encrypted, ...shown } = error as JobError & Partial<Sealed>;
  const sealed = { $encrypted };
  if (!isSealed(sealed)) return error;
  try {
    return (await unsealFor(sealed, 'error', encryptionOf)) as JobError;
  } catch {
    return shown;
  }
}

function withheld({ name, message, code, stack }: JobError): JobError {
  const frames = (stack ?? '')
    .replace(message, () => '')
    .split('\n')
    .filter((line) => FRAME.test(line));
  return {
    name,
    message: WITHHELD,
    ...(code !== undefined && { code }),
    ...(frames.length > 0 && { stack: [`${name}: ${WITHHELD}`, ...frames].join('\n') }),
  };
}
