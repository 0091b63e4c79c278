import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { EncryptionContext, PayloadEncryption } from '../../../lib/engine/index.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM, bound to queue and kind, with the keys by their ids; the last one encrypts. */
export function aes(keys: Readonly<Record<string, Buffer>>): PayloadEncryption {
  return {
    encrypt: async (plain, context) => {
      const [keyId, key] = Object.entries(keys).at(-1)!;
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(boundTo(context));
      return { data: Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]), keyId };
    },
    decrypt: async (data, keyId, context) => {
      const key = keys[keyId];
      if (key === undefined) throw new Error(`there is no key ${keyId}`);
      const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, IV_BYTES));
      decipher.setAAD(boundTo(context)).setAuthTag(data.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(data.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
    },
  };
}

function boundTo({ queue, kind }: EncryptionContext): Buffer {
  return Buffer.from(`${kind}:${queue}`);
}
