import type { AnyQueue } from './queue.js';

/**
 * Gives plain queue names their types, by declaration merging:
 *
 * ```ts
 * declare module 'nestjs-taskmaster' {
 *   interface TaskmasterQueues {
 *     send_email: { to: string };     // the payload
 *     resize: typeof Resize;          // a definition: payload, input and result
 *   }
 * }
 * ```
 *
 * Names that are not listed keep working; their payload is `unknown`.
 */
export interface TaskmasterQueues {}

/** A queue name listed in {@link TaskmasterQueues}. */
export type KnownQueueName = Extract<keyof TaskmasterQueues, string>;

/** What the handler of a queue gets: after validation, where the queue has a schema. */
export type PayloadOf<Queue extends AnyQueue> = TypesOf<Queue>['payload'];

/** What is enqueued: before validation, where the queue has a schema. */
export type InputOf<Queue extends AnyQueue> = TypesOf<Queue>['input'];

/** What the handler of a queue returns. */
export type ResultOf<Queue extends AnyQueue> = TypesOf<Queue>['result'];

interface QueueTypes<Payload, Result, Input> {
  readonly payload: Payload;
  readonly result: Result;
  readonly input: Input;
}

type TypesOf<Queue> = Queue extends keyof TaskmasterQueues
  ? TypesOfEntry<TaskmasterQueues[Queue]>
  : Queue extends string
    ? QueueTypes<unknown, unknown, unknown>
    : TypesOfDefinition<Queue>;

/** Told apart by the key that only definitions have: a payload may well have a `name` and `options`. */
type TypesOfEntry<Entry> = '~types' extends keyof Entry
  ? TypesOfDefinition<Entry>
  : QueueTypes<Entry, unknown, Entry>;

type TypesOfDefinition<Definition> = Definition extends {
  readonly '~types'?: {
    readonly payload: infer Payload;
    readonly result: infer Result;
    readonly input: infer Input;
  };
}
  ? QueueTypes<Payload, Result, Input>
  : never;
