import { checkJobOptions } from '../option-checks.js';
import { encodeJson } from '../codec/json-codec.js';
import { sealText } from '../codec/sealed.js';
import { InvalidOptionsError } from '../errors.js';
import { validatePayload } from '../codec/payload-schema.js';
import type { StandardSchema } from '../codec/standard-schema.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import type { QueueRules } from '../job/queue-definition.js';
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
  rules?: QueueRules,
): EncodedJob {
  checkJobOptions(queueNameOf(queue), options);
  return jobOf(queue, payload, payloadText(queue, payload, maxBytes), options, rules);
}

/**
 * The same for a queue whose payloads are encrypted: keys of limits and unique jobs are made of the payload in clear, and what is stored
 * is not; of the keys it is a hash.
 *
 * @throws PayloadEncryptionError, and as {@link encodeJob}
 */
export async function encodeSealedJob(
  queue: AnyQueue,
  payload: unknown,
  options: JobOptions,
  maxBytes: number,
  rules: QueueRules | undefined,
): Promise<EncodedJob> {
  const name = queueNameOf(queue);
  checkJobOptions(name, options);
  if (options.unique?.onConflict === 'merge')
    throw new InvalidOptionsError(`enqueue(${JSON.stringify(name)})`, [
      "unique.onConflict: 'merge' is done by the database, which cannot read the payloads of this queue",
    ]);
  const text = payloadText(queue, payload, maxBytes);
  const sealed = await sealText(text, rules!.encryption!, { queue: name, kind: 'payload' });
  return jobOf(queue, payload, sealed, options, rules);
}

function payloadText(queue: AnyQueue, payload: unknown, maxBytes: number): string {
  return encodeJson(payload, { maxBytes, instances: schemaOf(queue) !== undefined });
}

/** @param stored JSON text of what is stored as the payload */
function jobOf(
  queue: AnyQueue,
  payload: unknown,
  stored: string,
  options: JobOptions,
  rules: QueueRules | undefined,
): EncodedJob {
  const name = queueNameOf(queue);
  const ruled = options === NO_OPTIONS && rules === undefined ? '' : rulesText(name, payload, options, rules);
  return {
    queue: name,
    text: `{"q":${JSON.stringify(name)},"p":${stored}${optionsText(options, rules?.version)}${ruled}}`,
    ruled: ruled !== '',
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

/** @param version of the payload; 1 is not stored */
function optionsText(options: JobOptions, version = 1): string {
  const { runAt, delayMs, priority, maxAttempts, backoff, timeoutMs, tags, headers } = options;
  let text = '';
  if (runAt !== undefined) text += `,"at":${JSON.stringify(runAt)}`;
  if (delayMs !== undefined) text += `,"d":${delayMs}`;
  if (priority !== undefined) text += `,"pr":${priority}`;
  if (maxAttempts !== undefined) text += `,"m":${maxAttempts}`;
  const isMeta =
    backoff !== undefined || timeoutMs !== undefined || tags !== undefined || headers !== undefined;
  if (isMeta || version > 1) {
    const stored = timeoutMs === Infinity ? 'Infinity' : timeoutMs;
    text += `,"x":${JSON.stringify({ backoff, timeoutMs: stored, tags, headers, ...(version > 1 && { version }) })}`;
  }
  return text;
}
