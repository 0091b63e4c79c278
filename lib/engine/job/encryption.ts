/** What is known of the payload that is encrypted or decrypted. */
export interface EncryptionContext {
  /** The queue it was enqueued to; also when it is read by a dead-letter queue. */
  readonly queue: string;
}

/** An encrypted payload. */
export interface EncryptedPayload {
  readonly data: Uint8Array;
  /** Which key opens it: text of 1 to 256 characters. Stored beside the data. */
  readonly keyId: string;
}

/** Keeps the payloads of a queue out of the database in clear: they are encrypted before they are sent, and decrypted before the handler gets them. */
export interface PayloadEncryption {
  /** @param plain UTF-8 of the payload's JSON text */
  encrypt(plain: Uint8Array, context: EncryptionContext): Promise<EncryptedPayload>;
  /** What was encrypted, by the key of this id. A throw is a failed attempt, retried by the queue's policy. */
  decrypt(data: Uint8Array, keyId: string, context: EncryptionContext): Promise<Uint8Array>;
}
