import { InvalidPayloadError, InvalidStepResultError, PayloadTooLargeError } from '../errors.js';
import { encodeJson } from './json-codec.js';

/** The step whose result is to be remembered. */
export interface ReturningStep {
  readonly jobId: string;
  readonly name: string;
  /** The most its JSON text may take, in bytes. */
  readonly maxBytes: number;
}

/** The JSON text of what a step returned; `null` for `undefined`. @throws InvalidStepResultError */
export function stepText(step: ReturningStep, result: unknown): string | null {
  if (result === undefined) return null;
  try {
    return encodeJson(result, { maxBytes: step.maxBytes, instances: true });
  } catch (error) {
    throw problemOf(step, error);
  }
}

function problemOf({ jobId, name }: ReturningStep, error: unknown): unknown {
  if (error instanceof InvalidPayloadError)
    return new InvalidStepResultError(jobId, name, error.path.replace(/^payload/, 'result'), error.reason, {
      cause: error,
    });
  if (error instanceof PayloadTooLargeError)
    return new InvalidStepResultError(
      jobId,
      name,
      'result',
      `it takes ${error.bytes} bytes or more, and "maxPayloadBytes" is ${error.limitBytes}`,
      { cause: error },
    );
  return error;
}
