/// <reference lib="es2024.string" />
import { InvalidQueueNameError } from '../errors.js';
import type { AnyQueue } from './queue.js';

/** The longest queue name, in bytes of UTF-8. */
export const MAX_QUEUE_NAME_BYTES = 128;

/** C0, DEL and C1: invisible in every list, and able to act on a terminal. */
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/** The name of a queue that is given as a string or as a definition. @throws InvalidQueueNameError */
export function queueNameOf(queue: AnyQueue): string {
  const name: unknown =
    typeof queue === 'string' ? queue : (queue as { name?: unknown } | undefined | null)?.name;
  assertQueueName(name);
  return name;
}

/** Refuses what cannot be the name of a queue: at definition, at registration and at enqueue. @throws InvalidQueueNameError */
export function assertQueueName(name: unknown): asserts name is string {
  const problem = queueNameProblem(name);
  if (problem !== undefined) throw new InvalidQueueNameError(name, problem);
}

/** What is wrong with a queue name; `undefined` when nothing is. */
export function queueNameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'it is not a string';
  if (name === '') return 'it is empty';
  if (bytesExceed(name, MAX_QUEUE_NAME_BYTES)) return `it takes ${Buffer.byteLength(name)} bytes`;
  if (!name.isWellFormed()) return 'it holds a lone surrogate';
  if (CONTROL_CHARACTER.test(name)) return 'it holds a control character';
  return undefined;
}

/** A UTF-16 unit takes one to three bytes, so most names need no counting. */
function bytesExceed(text: string, limit: number): boolean {
  return text.length * 3 > limit && Buffer.byteLength(text) > limit;
}
