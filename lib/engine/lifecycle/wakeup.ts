/**
 * Lets one loop sleep until somebody has something for it. A call that comes while the loop is awake is remembered, so
 * nothing is missed between its last look and its sleep.
 */
export class Wakeup {
  #called = false;
  #resolve: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Wakes the loop, now or at its next {@link wait}. */
  call(): void {
    this.#called = true;
    this.#resolve?.();
  }

  /** Resolves with true at the next call, at once when there was one since the last wait; with false after `ms`. */
  async wait(ms: number): Promise<boolean> {
    if (!this.#called) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        if (ms !== Infinity) this.#timer = setTimeout(resolve, ms);
      });
      clearTimeout(this.#timer);
      this.#resolve = undefined;
    }
    const called = this.#called;
    this.#called = false;
    return called;
  }
}
