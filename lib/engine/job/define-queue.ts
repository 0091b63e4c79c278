import type { StandardSchema } from '../codec/standard-schema.js';
import { dtoSchema } from '../codec/dto-schema.js';
import { checkDeadLetter, checkDefineOptions, checkPayloadOptions } from '../option-checks.js';
import type {
  DtoOptions,
  PayloadOptions,
  QueueDefinition,
  QueueDefinitionOptions,
  QueueLimits,
  QueueOptions,
} from './queue-definition.js';
import { assertQueueName } from './queue-name.js';

// oxlint-disable-next-line typescript/no-explicit-any -- a schema of whatever types; `unknown` would not accept narrower inputs
type AnySchema = StandardSchema<any, any>;
type SchemaTypes<Schema extends AnySchema> = NonNullable<Schema['~standard']['types']>;

/**
 * Defines a queue: its name, the types of its payload and result, and its options, once for publishers and handlers.
 *
 * With a `schema` the types come from it: handlers get its output, `enqueue` takes its input.
 * With a `dto` class both are its instances.
 * Without one they are given by hand, `defineQueue<Payload, Result>('name')`, and nothing is checked at run time.
 *
 * @throws InvalidQueueNameError
 * @throws InvalidOptionsError listing every problem
 */
export function defineQueue<Schema extends AnySchema>(
  name: string,
  options: QueueOptions & QueueLimits & PayloadOptions & { readonly schema: Schema },
): QueueDefinition<SchemaTypes<Schema>['output'], unknown, SchemaTypes<Schema>['input']>;
export function defineQueue<Payload extends object>(
  name: string,
  options: DtoOptions<Payload>,
): QueueDefinition<Payload>;
export function defineQueue<Payload = unknown, Result = unknown>(
  name: string,
  options?: QueueDefinitionOptions<Payload>,
): QueueDefinition<Payload, Result>;
export function defineQueue(
  name: string,
  options: QueueDefinitionOptions | DtoOptions = {},
): QueueDefinition {
  assertQueueName(name);
  const subject = `defineQueue(${JSON.stringify(name)})`;
  checkDefineOptions(subject, options);
  checkDeadLetter(subject, name, options.deadLetter);
  checkPayloadOptions(subject, name, options);
  return Object.freeze({ name, options: Object.freeze(withSchema(subject, options)) });
}

function withSchema(subject: string, options: QueueDefinitionOptions | DtoOptions): QueueDefinitionOptions {
  if (!('dto' in options)) return { ...options };
  const { dto, ...others } = options;
  return { ...others, schema: dtoSchema(subject, dto) };
}
