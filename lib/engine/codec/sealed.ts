import { PayloadEncryptionError } from '../errors.js';
import type {
  EncryptedKind,
  EncryptedPayload,
  EncryptionContext,
  EncryptionOf,
  PayloadEncryption,
} from '../job/encryption.js';
import { decodeJson } from './json-codec.js';

/** The only key of what is encrypted. */
const KEY = '$encrypted';
const MAX_KEY_ID = 256;

/** Encrypted JSON as it is stored: JSON too. */
export interface Sealed {
  readonly [KEY]: {
    /** Base64. */
    readonly data: string;
    readonly keyId: string;
    /** The queue it was encrypted for. */
    readonly queue: string;
  };
}

/** Encrypts JSON text. What is stored in its place is {@link Sealed}. @throws PayloadEncryptionError */
export async function seal(
  text: string,
  encryption: PayloadEncryption,
  context: EncryptionContext,
): Promise<Sealed> {
  const { data, keyId } = await encrypted(text, encryption, context);
  return { [KEY]: { data: Buffer.from(data).toString('base64'), keyId, queue: context.queue } };
}

/** The same as JSON text. @throws PayloadEncryptionError */
export async function sealText(
  text: string,
  encryption: PayloadEncryption,
  context: EncryptionContext,
): Promise<string> {
  return JSON.stringify(await seal(text, encryption, context));
}

/** The queue that something was encrypted for; `undefined` for what is stored in clear. */
export function sealedQueueOf(stored: unknown): string | undefined {
  return isSealed(stored) ? stored[KEY].queue : undefined;
}

/** Whether a value is one that {@link seal} has made. */
export function isSealed(value: unknown): value is Sealed {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, KEY)) return false;
  const sealed = (value as Record<string, unknown>)[KEY] as Partial<Sealed[typeof KEY]> | null;
  return (
    Object.keys(value).length === 1 &&
    typeof sealed?.data === 'string' &&
    typeof sealed.queue === 'string' &&
    isKeyId(sealed.keyId)
  );
}

/**
 * Decrypts what is stored; what is not encrypted, such as a payload of plain SQL, is answered as it is.
 *
 * @param encryption of the queue that reads it
 * @throws PayloadEncryptionError when it cannot be decrypted here
 */
export async function unseal(
  stored: unknown,
  kind: EncryptedKind,
  encryption: PayloadEncryption | undefined,
): Promise<unknown> {
  if (!isSealed(stored)) return stored;
  const { data, keyId, queue } = stored[KEY];
  const context = { queue, kind };
  if (encryption === undefined)
    throw new PayloadEncryptionError('decrypt', context, 'the queue has no option "encryption" here');
  const byKey = `by the key ${JSON.stringify(keyId)}`;
  let plain: Uint8Array;
  try {
    plain = await encryption.decrypt(Buffer.from(data, 'base64'), keyId, context);
  } catch (error) {
    throw new PayloadEncryptionError('decrypt', context, byKey, { cause: error });
  }
  try {
    return decodeJson(new TextDecoder().decode(plain));
  } catch {
    // Without its cause, which quotes it.
    throw new PayloadEncryptionError('decrypt', context, `${byKey}, since decrypt() answered with no JSON`);
  }
}

/** The same, by the encryption of the queue that it was encrypted for. @throws PayloadEncryptionError */
export async function unsealFor(
  stored: unknown,
  kind: EncryptedKind,
  encryptionOf: EncryptionOf,
): Promise<unknown> {
  const queue = sealedQueueOf(stored);
  return queue === undefined ? stored : unseal(stored, kind, encryptionOf(queue));
}

async function encrypted(
  text: string,
  encryption: PayloadEncryption,
  context: EncryptionContext,
): Promise<EncryptedPayload> {
  let made: EncryptedPayload;
  try {
    made = await encryption.encrypt(new TextEncoder().encode(text), context);
  } catch (error) {
    throw new PayloadEncryptionError('encrypt', context, 'encrypt() has thrown', { cause: error });
  }
  if (!(made?.data instanceof Uint8Array) || !isKeyId(made.keyId))
    throw new PayloadEncryptionError(
      'encrypt',
      context,
      'encrypt() must answer with { data: Uint8Array, keyId: string }',
    );
  return made;
}

function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= MAX_KEY_ID;
}
