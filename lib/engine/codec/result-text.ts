import type { PayloadEncryption } from '../job/encryption.js';
import { encodeJson } from './json-codec.js';
import { sealText } from './sealed.js';

/** The most text of a result that is kept, in bytes; before it is encrypted. */
const MAX_RESULT_BYTES = 1_048_576;

/** A result whose text was made before its job is settled. */
export class MadeResult {
  constructor(readonly text: string | null) {}
}

/** The JSON text of what a handler returned; of what no JSON can say, why. A result never makes a job fail that has done its work. */
export function resultText(result: unknown): string | null {
  if (result === undefined) return null;
  if (result instanceof MadeResult) return result.text;
  try {
    return encodeJson(result, { maxBytes: MAX_RESULT_BYTES, instances: true });
  } catch (error) {
    return notStored((error as Error).message);
  }
}

/** The same, encrypted. */
export async function sealedResultText(
  result: unknown,
  encryption: PayloadEncryption,
  queue: string,
): Promise<string | null> {
  const text = resultText(result);
  if (text === null) return null;
  try {
    return await sealText(text, encryption, { queue, kind: 'result' });
  } catch {
    return notStored('It could not be encrypted.');
  }
}

function notStored(reason: string): string {
  return JSON.stringify({ notStored: reason });
}
