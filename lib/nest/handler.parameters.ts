import type { Job } from '../engine/job/job.js';
import { declaringPrototype, type ClassRef } from './method-metadata.js';
import { ROUTE_ARGS_METADATA } from './nest-internals.js';

/**
 * Where the parameters of a handler come from, in the form Nest keeps it for routes: pipes run only on
 * parameters that are known this way, so those without a decorator get an entry too.
 */

/** What a parameter of a handler may be filled with. */
export const PARAMETER = Object.freeze({
  /** Number of a request's body and a message's payload: `ValidationPipe` treats it as data to validate. */
  payload: 3,
  /** Number of a message's context: `ValidationPipe` leaves it alone. */
  job: 6,
  // Beyond the numbers Nest uses.
  signal: 101,
  headers: 102,
  tx: 103,
} as const);

/** Key of the complete list: {@link ROUTE_ARGS_METADATA} holds the decorated parameters alone, and is shared with Nest. */
export const HANDLER_ARGS_METADATA = 'taskmaster:args';

interface ParameterEntry {
  readonly index: number;
  readonly data?: unknown;
  readonly pipes?: readonly unknown[];
}
type Parameters = Readonly<Record<string, ParameterEntry>>;

/** Notes a decorated parameter. */
export function decorateParameter(
  target: object,
  method: string | symbol,
  type: number,
  entry: Required<ParameterEntry>,
): void {
  const decorated = Reflect.getOwnMetadata(ROUTE_ARGS_METADATA, target.constructor, method) as
    Parameters | undefined;
  const all = { ...decorated, [`${type}:${entry.index}`]: entry };
  Reflect.defineMetadata(ROUTE_ARGS_METADATA, all, target.constructor, method);
}

/**
 * Completes the parameters of a handler: where the first has no decorator it is the payload, where the second has none it is the job.
 *
 * @returns whether any parameter is decorated
 */
export function completeParameters(classRef: ClassRef, method: string): boolean {
  const decorated = decoratedParameters(classRef, method);
  const taken = new Set(Object.values(decorated).map(({ index }) => index));
  const defaults = [entryOf(PARAMETER.payload, 0), entryOf(PARAMETER.job, 1)];
  const missing = defaults.filter(([, { index }]) => !taken.has(index));
  const all = { ...Object.fromEntries(missing), ...decorated };
  // Where Nest looks for it, which is not the class when a class decorator or a mixin helper has replaced one.
  for (const host of new Set([classRef, classRef.prototype.constructor])) {
    Reflect.defineMetadata(HANDLER_ARGS_METADATA, all, host, method);
  }
  return taken.size > 0;
}

/** The decorators of a handler's parameters that ask for a part of one job: their names, as a message shows them. */
export function parametersOfOneJob(classRef: ClassRef, method: string): string[] {
  return Object.entries(decoratedParameters(classRef, method)).flatMap(([key, { data }]) => {
    if (key.startsWith(`${PARAMETER.headers}:`)) return ['@JobHeaders()'];
    if (key.startsWith(`${PARAMETER.tx}:`)) return ['@JobTx()'];
    return key.startsWith(`${PARAMETER.payload}:`) && typeof data === 'string' ? [`@Payload('${data}')`] : [];
  });
}

/** Those of the class that declares the method: an override does not inherit the decorators of its parameters. */
function decoratedParameters(classRef: ClassRef, method: string): Parameters {
  const owner = declaringPrototype(classRef, method)?.constructor ?? classRef;
  return (Reflect.getOwnMetadata(ROUTE_ARGS_METADATA, owner, method) as Parameters | undefined) ?? {};
}

function entryOf(type: number, index: number): [string, ParameterEntry] {
  return [`${type}:${index}`, { index, data: undefined, pipes: [] }];
}

/** Takes the value of a parameter out of the arguments `[payload, job]` of a handler. */
export const HANDLER_PARAMS_FACTORY = Object.freeze({
  exchangeKeyForValue(type: number, data: unknown, args: unknown): unknown {
    const [payload, job] = args as [unknown, Job];
    return propertyOf(valueOf(type, payload, job), data);
  },
});

function valueOf(type: number, payload: unknown, job: Job): unknown {
  switch (type) {
    case PARAMETER.payload:
      return payload;
    case PARAMETER.job:
      return job;
    case PARAMETER.signal:
      return job.signal;
    case PARAMETER.headers:
      return job.headers;
    case PARAMETER.tx:
      return job.tx;
    default:
      // A decorator of another transport, such as `@Req()`: there is no such thing here.
      return undefined;
  }
}

/** Only own properties: payloads come from outside, and `@Payload('constructor')` must not find anything. */
function propertyOf(value: unknown, name: unknown): unknown {
  if (typeof name !== 'string') return value;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
