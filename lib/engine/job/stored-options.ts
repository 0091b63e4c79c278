import { mostAttempts } from '../retry/error-rule.js';
import type { Handler } from './handler.js';

/** What the database must know of a queue: its jobs may be ended by who does not know its handler. */
export interface StoredQueueOptions {
  readonly deadLetter?: string;
  /** Only where a rule for errors allows more attempts: a lost attempt is not one of those. */
  readonly maxAttempts?: number;
}

export function storedOptionsOf({ deadLetter, options }: Handler): StoredQueueOptions {
  const { errors, maxAttempts } = options;
  return {
    ...(deadLetter === undefined ? {} : { deadLetter }),
    ...(mostAttempts(errors) > maxAttempts ? { maxAttempts } : {}),
  };
}
