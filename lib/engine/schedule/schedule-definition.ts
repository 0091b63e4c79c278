import { createHash } from 'node:crypto';
import { encodeJson } from '../codec/json-codec.js';
import { validatePayload } from '../codec/payload-schema.js';
import { sealText } from '../codec/sealed.js';
import type { QueueDefinitionOptions, QueueRules } from '../job/queue-definition.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import type { InputOf } from '../job/queue-types.js';
import type { JobOptions } from '../publisher/enqueue-options.js';
import type { MissedPolicy, OverlapPolicy } from './schedule.js';

/** When a schedule fires. */
export type ScheduleTiming =
  | {
      /** 5 fields, or 6 with seconds first; also `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`. */
      readonly cron: string;
      readonly everyMs?: never;
    }
  | {
      /** An interval in milliseconds, at least 1_000: due that long after the schedule was stored, and so on, without drift. */
      readonly everyMs: number;
      readonly cron?: never;
    };

/** Options of a schedule; those of its jobs are as in `enqueue`. */
export interface ScheduleOptions<Queue extends AnyQueue = AnyQueue> extends Pick<
  JobOptions,
  'priority' | 'maxAttempts' | 'backoff' | 'timeoutMs' | 'tags' | 'headers'
> {
  /** Unique in the database, 1 to 128 bytes without control characters. */
  readonly name: string;
  /** Where its jobs go. @default the schedule's name */
  readonly queue?: Queue;
  /** IANA name of the time zone of the cron expression. @default 'UTC' */
  readonly timezone?: string;
  /** Of every job. @default {} */
  readonly payload?: InputOf<Queue>;
  /** What becomes of due times that passed while nobody was there to fire them. @default 'once' */
  readonly missed?: MissedPolicy;
  /** What happens when it is due while an earlier job of it is still alive. @default 'allow' */
  readonly overlap?: OverlapPolicy;
}

/** The defaults of {@link ScheduleOptions}. */
export const SCHEDULE_DEFAULTS = Object.freeze({
  timezone: 'UTC',
  missed: 'once',
  overlap: 'allow',
} satisfies Partial<ScheduleOptions>);

/** A schedule to be stored. */
export type ScheduleDefinition<Queue extends AnyQueue = AnyQueue> = ScheduleTiming & ScheduleOptions<Queue>;

/** A definition that has been checked, as text. */
export interface EncodedSchedule {
  readonly name: string;
  /** A JSON object, as `store_schedule` and `define_schedules` take it. */
  readonly text: string;
  /** The same for the same definition, and for no other. */
  readonly hash: string;
}

/**
 * @param rules what is known of its queue, where that is given by its name
 * @throws InvalidQueueNameError, InvalidPayloadError, PayloadTooLargeError
 */
export function encodeSchedule(
  definition: ScheduleDefinition,
  maxBytes: number,
  rules: QueueRules | undefined,
): EncodedSchedule {
  const { name, queue = name, payload } = definition;
  const text = textOf(
    definition,
    encodeJson(payload, { maxBytes, instances: optionsOf(queue).schema !== undefined }),
    rulesOf(queue, rules),
  );
  return { name, text, hash: createHash('sha256').update(text).digest('hex') };
}

/**
 * The same with the payload encrypted, where its queue asks for that; the hash is that of the definition in clear.
 *
 * @throws PayloadEncryptionError
 */
export async function sealSchedule(
  definition: ScheduleDefinition,
  encoded: EncodedSchedule,
  rules: QueueRules | undefined,
): Promise<EncodedSchedule> {
  const { name, queue = name, payload } = definition;
  const known = rulesOf(queue, rules);
  if (known.encryption === undefined) return encoded;
  const context = { queue: queueNameOf(queue), kind: 'payload' } as const;
  const sealed = await sealText(encodeJson(payload, ANY_SIZE), known.encryption, context);
  return { ...encoded, text: textOf(definition, sealed, known) };
}

/** It was within its limit when it was encoded. */
const ANY_SIZE = { maxBytes: Infinity, instances: true };

/** @param payload JSON text */
function textOf(definition: ScheduleDefinition, payload: string, { version }: QueueRules): string {
  const { name, queue = name, cron, everyMs } = definition;
  const { timezone, missed, overlap } = { ...SCHEDULE_DEFAULTS, ...given(definition) };
  const row = { name, queue: queueNameOf(queue), cron, everyMs, timezone, missed, overlap };
  return `{"row":${JSON.stringify(row)},"options":${optionsText(definition, version)},"payload":${payload}}`;
}

/** Checks what the handler would get against the schema of the queue, if it has one. @throws InvalidPayloadError */
export async function checkSchedulePayload({ queue, payload = {} }: ScheduleDefinition): Promise<void> {
  const { schema } = optionsOf(queue);
  if (schema !== undefined) await validatePayload(schema, payload);
}

/** As for what is enqueued: what a handler or a definition here says counts, also for a queue that is given by its name. */
function rulesOf(queue: AnyQueue, rules: QueueRules | undefined): QueueRules {
  return rules ?? optionsOf(queue);
}

function optionsOf(queue: AnyQueue | undefined): QueueDefinitionOptions {
  return typeof queue === 'object' ? queue.options : {};
}

/** `undefined`, as of a variable that is not set, is nothing. */
function given(definition: ScheduleDefinition): Partial<ScheduleDefinition> {
  return Object.fromEntries(Object.entries(definition).filter(([, value]) => value !== undefined));
}

function optionsText(definition: ScheduleDefinition, version = 1): string {
  const { priority, maxAttempts, backoff, timeoutMs, tags, headers } = definition;
  const stored = timeoutMs === Infinity ? 'Infinity' : timeoutMs;
  const options = { priority, maxAttempts, backoff, timeoutMs: stored, tags, headers };
  return JSON.stringify({ ...options, ...(version > 1 && { version }) });
}
