/** What is known of what is encrypted or decrypted: to choose a key by, and to bind the data to. The same for both directions. */
export interface EncryptionContext {
  /** The queue it was encrypted for; also when a dead-letter queue reads it. */
  readonly queue: string;
  readonly kind: EncryptedKind;
}

/** What of a job is encrypted: its payload, what its handler has returned, what a step has, what was thrown, a progress, a line of its log. */
export type EncryptedKind = 'payload' | 'result' | 'step' | 'error' | 'progress' | 'log';

/** An encrypted payload, or what else is encrypted. */
export interface EncryptedPayload {
  readonly data: Uint8Array;
  /** Which key opens it: text of 1 to 256 characters. Stored beside the data. */
  readonly keyId: string;
}

/**
 * Keeps the payloads of a queue, and what its handlers say, out of the database in clear: it is encrypted before it is sent, and decrypted for
 * handlers and for who waits for results.
 */
export interface PayloadEncryption {
  /** @param plain UTF-8 of JSON text */
  encrypt(plain: Uint8Array, context: EncryptionContext): Promise<EncryptedPayload>;
  /** What was encrypted, by the key of this id. A throw is a failed attempt, retried by the queue's policy. */
  decrypt(data: Uint8Array, keyId: string, context: EncryptionContext): Promise<Uint8Array>;
}

/** How this process encrypts what belongs to a queue; `undefined`: it does not, or knows of none. */
export type EncryptionOf = (queue: string) => PayloadEncryption | undefined;
