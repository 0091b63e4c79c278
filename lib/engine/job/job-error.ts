import { encodeJson } from '../codec/json-codec.js';
import { storableText } from '../codec/stored-text.js';
import type { JobError } from '../events.js';

/** How much of an error is kept with a job, in bytes of UTF-8. */
export const JOB_ERROR_LIMITS = Object.freeze({
  name: 256,
  message: 8_192,
  code: 256,
  stack: 32_768,
  causes: 5,
});

const ELLIPSIS = '…';
const ELLIPSIS_BYTES = 3;

/**
 * Whatever was thrown, as it is stored with the job: plain, cut to size, storable as `jsonb`. Never throws, whatever
 * the value's getters and proxies do. Of objects only the name, message, code, stack and cause are kept: the drivers'
 * further fields (`detail`, `where`, `query`) may hold data of others.
 *
 * @param nameOfOthers the name for what is no error, such as a string
 */
export function toJobError(thrown: unknown, nameOfOthers = 'NonError'): JobError {
  return chain(thrown, nameOfOthers, new Set());
}

function chain(thrown: unknown, nameOfOthers: string, seen: Set<unknown>): JobError {
  seen.add(thrown);
  const error = single(thrown, nameOfOthers);
  const cause = causeOf(thrown);
  if (cause === undefined || cause === null || seen.has(cause) || seen.size > JOB_ERROR_LIMITS.causes)
    return error;
  return { ...error, cause: chain(cause, 'NonError', seen) };
}

function single(thrown: unknown, nameOfOthers: string): JobError {
  const message = read(thrown, 'message');
  if (typeof message !== 'string')
    return { name: nameOfOthers, message: clean(describe(thrown), JOB_ERROR_LIMITS.message) };
  const code = codeOf(thrown);
  const stack = stackOf(thrown, message);
  return {
    name: clean(nameOf(thrown), JOB_ERROR_LIMITS.name),
    message: clean(message === '' ? messageOfParts(thrown) : message, JOB_ERROR_LIMITS.message),
    ...(code === undefined ? {} : { code }),
    ...(stack === undefined ? {} : { stack }),
  };
}

/** A property of anything at all; `undefined` also when reading it throws. */
function read(from: unknown, key: string): unknown {
  if ((typeof from !== 'object' && typeof from !== 'function') || from === null) return undefined;
  try {
    return (from as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function nameOf(thrown: unknown): string {
  const name = read(thrown, 'name');
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

function codeOf(thrown: unknown): string | undefined {
  const code = read(thrown, 'code');
  return typeof code === 'string' || typeof code === 'number'
    ? clean(String(code), JOB_ERROR_LIMITS.code)
    : undefined;
}

/** The stack begins with the message; a huge one must not push out the frames. */
function stackOf(thrown: unknown, message: string): string | undefined {
  const stack = read(thrown, 'stack');
  if (typeof stack !== 'string' || stack === '') return undefined;
  const short =
    message.length > JOB_ERROR_LIMITS.message ? clean(message, JOB_ERROR_LIMITS.message) : message;
  return clean(
    stack.replace(message, () => short),
    JOB_ERROR_LIMITS.stack,
  );
}

/** The cause, or else the first part of an `AggregateError`. A reason that `reject()` made the message is not told twice. */
function causeOf(thrown: unknown): unknown {
  const cause = read(thrown, 'cause') ?? read(read(thrown, 'errors'), '0');
  return cause === read(thrown, 'message') ? undefined : cause;
}

/** Node's own `AggregateError` of a refused connection has no message; its parts have. */
function messageOfParts(thrown: unknown): string {
  const parts = read(thrown, 'errors');
  const messages = ['0', '1', '2'].map((index) => read(read(parts, index), 'message'));
  return messages.filter((message) => typeof message === 'string').join('; ');
}

/** What is no error, in words: a string is the message, a plain object its JSON, of anything else only the kind. */
function describe(thrown: unknown): string {
  switch (typeof thrown) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'symbol':
    case 'undefined':
      return String(thrown);
    case 'function':
      return 'a function was thrown';
    case 'object':
      return jsonOf(thrown) ?? `an object without a message was thrown${classOf(thrown)}`;
  }
}

function classOf(thrown: unknown): string {
  const name = read(read(thrown, 'constructor'), 'name');
  return typeof name === 'string' && name !== '' && name !== 'Object' ? ` (${name})` : '';
}

function jsonOf(thrown: object | null): string | undefined {
  // The copy of a database error, `{ ...error }`, has lost its message and kept its detail.
  if (read(thrown, 'severity') !== undefined) return undefined;
  try {
    return encodeJson(thrown, { maxBytes: JOB_ERROR_LIMITS.message });
  } catch {
    return undefined;
  }
}

/** Text that `jsonb` stores, of at most `limit` bytes. */
function clean(text: string, limit: number): string {
  return cut(storableText(text.slice(0, limit + 1)), limit);
}

function cut(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const { read: length } = new TextEncoder().encodeInto(text, new Uint8Array(limit - ELLIPSIS_BYTES));
  return text.slice(0, length) + ELLIPSIS;
}
