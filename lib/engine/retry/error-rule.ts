import type { Backoff } from './backoff.js';

/**
 * What becomes of a job whose attempt has thrown a certain kind of error: it is rejected, runs again later without having spent an
 * attempt (`snoozeMs`), or is tried again by a backoff and a number of attempts of this kind's own.
 */
export type ErrorRule = { readonly match: ErrorMatch } & ErrorAction;

/**
 * Which errors: those of a class (`instanceof`), those whose `code` or `name` is this text, or those of which a function
 * says `true`. Only what was thrown is looked at, not its causes; a function may look at those.
 */
export type ErrorMatch = ErrorClass | string | ((error: unknown) => boolean);

/** Any class, also an abstract one. */
export type ErrorClass = abstract new (...args: never[]) => unknown;

/** What a rule says. */
export type ErrorAction = RejectAction | SnoozeAction | RetryAction;

/** No more attempts. */
export interface RejectAction {
  readonly reject: true;
  readonly snoozeMs?: never;
  readonly backoff?: never;
  readonly maxAttempts?: never;
}

/** Later, without spending an attempt: for as long as the error goes on, unless the job has an `expiresAt`. */
export interface SnoozeAction {
  /** In milliseconds. */
  readonly snoozeMs: number;
  readonly reject?: never;
  readonly backoff?: never;
  readonly maxAttempts?: never;
}

/** Another attempt. */
export interface RetryAction {
  /** The wait; it wins over every other, the job's own included. @default the job's, or the queue's */
  readonly backoff?: Backoff;
  /**
   * How often the job is attempted, all its attempts counted, before an error of this kind is final. A job that was enqueued with
   * `maxAttempts` of its own is never attempted more often than that. @default the job's, or the queue's
   */
  readonly maxAttempts?: number;
  readonly reject?: never;
  readonly snoozeMs?: never;
}

/**
 * The first rule that matches; `undefined` when none does. Never throws: a function that does, or that answers anything
 * but true or false (a promise, say), is passed over.
 *
 * @param onBroken told of each function that was passed over
 */
export function ruleFor(
  rules: readonly ErrorRule[],
  error: unknown,
  onBroken?: (problem: unknown) => void,
): ErrorRule | undefined {
  return rules.find((rule) => matches(rule.match, error, onBroken));
}

/** The most attempts that one of these rules allows; 0 when none says. */
export function mostAttempts(rules: readonly ErrorRule[]): number {
  return Math.max(0, ...rules.map((rule) => rule.maxAttempts ?? 0));
}

function matches(match: ErrorMatch, error: unknown, onBroken?: (problem: unknown) => void): boolean {
  try {
    if (typeof match === 'string') return isNamed(error, match);
    if (isClass(match)) return error instanceof match;
    const answer: unknown = match(error);
    if (typeof answer === 'boolean') return answer;
    onBroken?.(new TypeError(`A matcher of "errors" answered a value of type ${typeof answer}.`));
  } catch (thrown) {
    onBroken?.(thrown);
  }
  return false;
}

/** A code may be a number, such as that of a DOMException. */
function isNamed(error: unknown, name: string): boolean {
  if ((typeof error !== 'object' && typeof error !== 'function') || error === null) return false;
  const { code, name: own } = error as { readonly code?: unknown; readonly name?: unknown };
  return own === name || code === name || (typeof code === 'number' && String(code) === name);
}

/** A class is called with `new` or not at all; one that was compiled to a function is known by its errors. */
function isClass(match: ErrorClass | ((error: unknown) => boolean)): match is ErrorClass {
  const prototype: unknown = match.prototype;
  return (
    prototype instanceof Error ||
    prototype === Error.prototype ||
    /^class\b/.test(Function.prototype.toString.call(match))
  );
}
