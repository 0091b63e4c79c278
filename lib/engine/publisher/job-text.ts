import { checkJobOptions } from '../option-checks.js';
import { encodeJson } from '../codec/json-codec.js';
import { validatePayload } from '../codec/payload-schema.js';
import type { StandardSchema } from '../codec/standard-schema.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import type { QueueLimits } from '../job/queue-definition.js';
import { type JobOptions, NO_OPTIONS } from './enqueue-options.js';
import { rulesText } from './job-rules.js';

/** A job that has passed every check, ready to be sent. */
export interface EncodedJob {
  readonly queue: string;
  /** One element of the array that `enqueue_jobs` takes. */
  readonly text: string;
  /** Milliseconds until it is due; `undefined`: it is ready at once. */
  readonly delayMs: number | undefined;
  /** It has rules that only `enqueue_rules` knows: a group, a unique key, dependencies, an expiry. */
  readonly ruled: boolean;
}

/**
 * Checks and encodes one job. All of it happens before any SQL, so a bad job fails its own call and nobody else's.
 *
 * @throws InvalidQueueNameError, InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError
 */
export function encodeJob(
  queue: AnyQueue,
  payload: unknown,
  options: JobOptions,
  maxBytes: number,
  queueLimits?: QueueLimits,
): EncodedJob {
  const name = queueNameOf(queue);
  checkJobOptions(name, options);
  const limits = { maxBytes, instances: schemaOf(queue) !== undefined };
  const text = `{"q":${JSON.stringify(name)},"p":${encodeJson(payload, limits)}${optionsText(options)}`;
  const rules =
    options === NO_OPTIONS && queueLimits === undefined ? '' : rulesText(name, payload, options, queueLimits);
  return {
    queue: name,
    text: `${text}${rules}}`,
    ruled: rules !== '',
    delayMs: options.runAt === undefined ? options.delayMs : options.runAt.getTime() - Date.now(),
  };
}

/**
 * Checks a payload against the schema of its queue, if it has one. What is stored is the payload as it was given; where a schema
 * vouches for it, it may be an instance of a class.
 */
export async function checkPayload(queue: AnyQueue, payload: unknown): Promise<void> {
  queueNameOf(queue);
  const schema = schemaOf(queue);
  if (schema !== undefined) await validatePayload(schema, payload);
}

function schemaOf(queue: AnyQueue): StandardSchema | undefined {
  return typeof queue === 'string' ? undefined : queue.options.schema;
}

function optionsText(options: JobOptions): string {
  const { runAt, delayMs, priority, maxAttempts, backoff, timeoutMs, tags, headers } = options;
  let text = '';
  if (runAt !== undefined) text += `,"at":${JSON.stringify(runAt)}`;
  if (delayMs !== undefined) text += `,"d":${delayMs}`;
  if (priority !== undefined) text += `,"pr":${priority}`;
  if (maxAttempts !== undefined) text += `,"m":${maxAttempts}`;
  if (backoff !== undefined || timeoutMs !== undefined || tags !== undefined || headers !== undefined) {
    text += `,"x":${JSON.stringify({ backoff, timeoutMs: timeoutMs === Infinity ? 'Infinity' : timeoutMs, tags, headers })}`;
  }
  return text;
}
