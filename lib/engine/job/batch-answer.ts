import { types } from 'node:util';
import { InvalidBatchResultError } from '../errors.js';
import { isHandlerOutcome } from './outcome.js';

/**
 * What a handler of batches said about each of its jobs, from what it returned: for each what a handler of that job alone would have
 * returned, but that an `Error` means that it would have thrown it, see {@link returnedOrThrown}.
 *
 * @throws InvalidBatchResultError when it does not say which job is meant
 */
export function answersOf(returned: unknown, jobs: number, queue: string): readonly unknown[] {
  if (returned === undefined || isHandlerOutcome(returned))
    return Array.from({ length: jobs }, () => returned);
  if (Array.isArray(returned) && returned.length === jobs) return returned;
  // Nobody waits for them, and one that rejects would end the process.
  if (Array.isArray(returned)) void Promise.allSettled(returned);
  throw new InvalidBatchResultError(queue, jobs, kindOf(returned));
}

/** A job's answer, as its handler would have given it. @throws the answer, when it is an error and no outcome */
export function returnedOrThrown(answer: unknown): unknown {
  if (isError(answer) && !isHandlerOutcome(answer)) throw answer;
  return answer;
}

/** Those of other realms too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

function kindOf(returned: unknown): string {
  if (Array.isArray(returned)) return `an array of ${returned.length}`;
  if (returned === null) return 'null';
  return typeof returned === 'object' ? 'an object' : `a ${typeof returned}`;
}
