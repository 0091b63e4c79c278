import { QUEUE_DEFAULTS } from '../options.js';
import type { Backoff, BackoffPolicy } from './backoff.js';

/** No job waits longer than this, in milliseconds: 100 years. */
export const MAX_DELAY_MS = 100 * 365 * 86_400_000;

/** `maxDelayMs` of a {@link BackoffPolicy} that has none, and its `delayMs`. */
export const BACKOFF_POLICY_DEFAULTS = Object.freeze({ delayMs: 1_000, maxDelayMs: 3_600_000, jitter: true });

/** Doubling more often than this changes nothing: the delay is above any limit. It keeps the number finite. */
const MAX_DOUBLINGS = 60;

/**
 * The wait after a failed attempt, in whole milliseconds from 0 to {@link MAX_DELAY_MS}. Never throws: a backoff that
 * does, or that answers no number of milliseconds, is replaced by the default, since the job must not be lost by it.
 *
 * @param attempt number of the attempt that failed, 1 for the first
 * @param random from 0 to below 1
 * @param onBroken told why the default was used
 */
export function delayOf(
  backoff: Backoff,
  attempt: number,
  error: unknown,
  random: () => number,
  onBroken?: (problem: unknown) => void,
): number {
  const answer = attemptedAnswer(backoff, attempt, error, random);
  const delayMs = wholeDelay(answer.value);
  if (delayMs !== undefined) return delayMs;
  onBroken?.(
    answer.thrown ??
      new TypeError(`The backoff answered ${describe(answer.value)}; expected milliseconds >= 0.`),
  );
  return policyDelay(QUEUE_DEFAULTS.backoff, attempt, random);
}

/** A delay in whole milliseconds, at most {@link MAX_DELAY_MS}; `undefined` for what is no delay: NaN, negative, not a number. */
export function wholeDelay(delayMs: unknown): number | undefined {
  if (typeof delayMs !== 'number' || !(delayMs >= 0)) return undefined;
  return Math.min(Math.ceil(delayMs), MAX_DELAY_MS);
}

interface Answer {
  readonly value?: unknown;
  readonly thrown?: unknown;
}

function attemptedAnswer(...[backoff, attempt, error, random]: Parameters<typeof rawDelay>): Answer {
  try {
    return { value: rawDelay(backoff, attempt, error, random) };
  } catch (thrown) {
    return { thrown };
  }
}

function rawDelay(backoff: Backoff, attempt: number, error: unknown, random: () => number): unknown {
  if (typeof backoff === 'number') return backoff;
  if (typeof backoff === 'function') return backoff(attempt, error);
  if (isList(backoff)) return backoff[Math.min(attempt, backoff.length) - 1];
  return policyDelay(backoff, attempt, random);
}

/** `Array.isArray` does not tell a readonly array from the rest. */
function isList(backoff: Backoff): backoff is readonly number[] {
  return Array.isArray(backoff);
}

function policyDelay(policy: BackoffPolicy, attempt: number, random: () => number): number {
  const first = policy.delayMs ?? BACKOFF_POLICY_DEFAULTS.delayMs;
  const longest = policy.maxDelayMs ?? BACKOFF_POLICY_DEFAULTS.maxDelayMs;
  const delay = Math.min(first * growth(policy.type, attempt), longest);
  return (policy.jitter ?? BACKOFF_POLICY_DEFAULTS.jitter) ? Math.ceil((delay * (1 + random())) / 2) : delay;
}

function growth(type: BackoffPolicy['type'], attempt: number): number {
  switch (type) {
    case 'fixed':
      return 1;
    case 'linear':
      return attempt;
    case 'exponential':
      return 2 ** Math.min(attempt - 1, MAX_DOUBLINGS);
  }
}

function describe(answer: unknown): string {
  return typeof answer === 'number' ? String(answer) : `a value of type ${typeof answer}`;
}
