import { within } from './within.js';

/**
 * A point that code under test passes, for a test to wait at: a handler calls `signal(value)`, the test awaits
 * `count(n)`. What was signalled before the wait began counts too, so nothing is missed.
 */
export class SignalPoint<T = void> {
  readonly #values: T[] = [];
  #waiting: (() => void)[] = [];

  /** Everything signalled so far, in order. */
  get values(): readonly T[] {
    return this.#values;
  }

  /** Bound: may be handed on as a callback. */
  readonly signal = (value: T): void => {
    this.#values.push(value);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  };

  /** Resolves with the first `count` values, when there are that many. */
  async count(count = 1, { timeoutMs = 10_000 } = {}): Promise<readonly T[]> {
    await within(
      timeoutMs,
      `signal number ${count}`,
      this.#until(() => this.#values.length >= count),
    );
    return this.#values.slice(0, count);
  }

  /** Resolves with the first value that matches. Without a time limit: {@link within} gives it one. */
  async find(matches: (value: T) => boolean): Promise<T> {
    await this.#until(() => this.#values.some(matches));
    return this.#values.find(matches)!;
  }

  async #until(isThere: () => boolean): Promise<void> {
    while (!isThere()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
