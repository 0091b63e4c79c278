import { encodeJson } from './json-codec.js';

/** The most text of a result that is kept, in bytes. */
const MAX_RESULT_BYTES = 1_048_576;

/** The JSON text of what a handler returned; of what no JSON can say, why. A result never makes a job fail that has done its work. */
export function resultText(result: unknown): string | null {
  if (result === undefined) return null;
  try {
    return encodeJson(result, { maxBytes: MAX_RESULT_BYTES, instances: true });
  } catch (error) {
    return JSON.stringify({ notStored: (error as Error).message });
  }
}
