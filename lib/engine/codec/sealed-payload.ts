import { PayloadEncryptionError } from '../errors.js';
import type { EncryptedPayload, PayloadEncryption } from '../job/encryption.js';
import { safePayload } from './json-codec.js';

/** The only key of a payload that is encrypted. */
const KEY = '$encrypted';
const MAX_KEY_ID = 256;

/** An encrypted payload as it is stored, as the value of {@link KEY}. */
interface Sealed {
  /** Base64. */
  readonly data: string;
  readonly keyId: string;
  /** The queue it was enqueued to. */
  readonly queue: string;
}

/**
 * Encrypts a payload.
 *
 * @param text JSON text of the payload
 * @returns JSON text of what is stored in its place: `{"$encrypted": {"data", "keyId", "queue"}}`
 * @throws PayloadEncryptionError
 */
export async function sealPayload(
  text: string,
  encryption: PayloadEncryption,
  queue: string,
): Promise<string> {
  const { data, keyId } = await encrypted(text, encryption, queue);
  const sealed: Sealed = { data: Buffer.from(data).toString('base64'), keyId, queue };
  return JSON.stringify({ [KEY]: sealed });
}

/** The queue that an encrypted payload was enqueued to; `undefined` for one in clear. */
export function sealedQueueOf(payload: unknown): string | undefined {
  return sealedIn(payload)?.queue;
}

/** Whether a payload is one that {@link sealPayload} has made. */
export function isSealed(payload: unknown): boolean {
  return sealedIn(payload) !== undefined;
}

/**
 * Decrypts a payload; one that is not encrypted, such as one of plain SQL, is answered as it is.
 *
 * @param encryption of the queue that reads it
 * @throws PayloadEncryptionError when it cannot be decrypted here
 */
export async function openPayload(
  payload: unknown,
  encryption: PayloadEncryption | undefined,
): Promise<unknown> {
  const sealed = sealedIn(payload);
  if (sealed === undefined) return payload;
  const { data, keyId, queue } = sealed;
  if (encryption === undefined)
    throw new PayloadEncryptionError('decrypt', queue, 'the queue has no option "encryption" here');
  try {
    const plain = await encryption.decrypt(Buffer.from(data, 'base64'), keyId, { queue });
    return safePayload(JSON.parse(new TextDecoder().decode(plain)));
  } catch (error) {
    throw new PayloadEncryptionError('decrypt', queue, `by the key ${JSON.stringify(keyId)}`, {
      cause: error,
    });
  }
}

async function encrypted(
  text: string,
  encryption: PayloadEncryption,
  queue: string,
): Promise<EncryptedPayload> {
  let made: EncryptedPayload;
  try {
    made = await encryption.encrypt(new TextEncoder().encode(text), { queue });
  } catch (error) {
    throw new PayloadEncryptionError('encrypt', queue, 'encrypt() has thrown', { cause: error });
  }
  if (!(made?.data instanceof Uint8Array) || !isKeyId(made.keyId))
    throw new PayloadEncryptionError(
      'encrypt',
      queue,
      'encrypt() must answer with { data: Uint8Array, keyId: string }',
    );
  return made;
}

function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= MAX_KEY_ID;
}

function sealedIn(payload: unknown): Sealed | undefined {
  if (typeof payload !== 'object' || payload === null || !Object.hasOwn(payload, KEY)) return undefined;
  const sealed = (payload as Record<string, unknown>)[KEY] as Partial<Sealed> | null;
  const isWhole =
    Object.keys(payload).length === 1 &&
    typeof sealed?.data === 'string' &&
    typeof sealed.queue === 'string' &&
    isKeyId(sealed.keyId);
  return isWhole ? (sealed as Sealed) : undefined;
}
