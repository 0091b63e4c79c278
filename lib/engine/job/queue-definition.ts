import type { DtoClass } from '../codec/dto-schema.js';
import type { StandardSchema } from '../codec/standard-schema.js';
import type { Backoff } from '../retry/backoff.js';

/** Options of a queue: given to `defineQueue`, to a handler, or as the module's `defaults`; the handler's win. */
export interface QueueOptions {
  /** Jobs of this queue running at once in one process. @default 10 */
  readonly concurrency?: number;
  /** How often a job is attempted before it fails for good; 1 means never retried. @default 10 */
  readonly maxAttempts?: number;
  /** The wait before another attempt. @default exponential from 1 s to 1 h, with jitter */
  readonly backoff?: Backoff;
  /**
   * How long one attempt may take, in milliseconds. Then its `AbortSignal` fires, the attempt counts as failed
   * and its slot is free. `Infinity`: as long as it likes. @default 900_000
   */
  readonly timeoutMs?: number;
}

/** Options of `defineQueue`: those of every queue, and the payload's schema. */
export interface QueueDefinitionOptions<Payload = unknown> extends QueueOptions {
  /** Any Standard Schema (zod, valibot, arktype ...). Checked at enqueue and before each attempt; its output is the payload. */
  readonly schema?: StandardSchema<unknown, Payload>;
}

/** Options of `defineQueue` that are turned into those of the definition. */
export interface DtoOptions<Payload extends object = object> extends QueueOptions {
  /**
   * A class decorated for `class-validator`, instead of a schema: payloads are checked by it, may be instances of it, and the
   * handler gets one. Needs `class-validator` and `class-transformer`.
   */
  readonly dto: DtoClass<Payload>;
}

/** A queue with its types, made by {@link defineQueue}. A plain string works wherever one is accepted. */
export interface QueueDefinition<Payload = unknown, Result = unknown, Input = Payload> {
  readonly name: string;
  readonly options: QueueDefinitionOptions<Payload>;
  /** Types only; never present at run time. */
  readonly '~types'?: { readonly payload: Payload; readonly result: Result; readonly input: Input };
}
