import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError } from '../../errors.js';

const POLL_MS = 20;

/** The end of the patience with a process that tells nothing, only leaves traces to look at again and again. */
export class Deadline {
  readonly #end: number;

  /** @param awaited what did not happen, when it runs out */
  constructor(
    private readonly timeoutMs: number,
    private readonly awaited: string,
  ) {
    this.#end = performance.now() + timeoutMs;
  }

  /** Waits before the next look. Throws when there has been time enough. */
  async pause(): Promise<void> {
    if (performance.now() > this.#end) {
      throw new EmbeddedPostgresError(`${this.awaited} within ${this.timeoutMs} ms`);
    }
    await delay(POLL_MS);
  }
}
