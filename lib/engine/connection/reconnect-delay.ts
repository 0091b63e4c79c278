const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * The wait before another attempt to connect: 100 ms, doubled after each failure up to 5 s, with full jitter, so that many
 * processes do not come back at the same moment.
 */
export class ReconnectDelay {
  #ceilingMs = 0;
  #floorMs = 0;
  #wake: (() => void) | undefined;

  constructor(private readonly random: () => number = Math.random) {}

  succeeded(): void {
    this.#ceilingMs = 0;
  }

  failed(): void {
    this.#ceilingMs = Math.min(Math.max(FIRST_MS, this.#ceilingMs * 2), LONGEST_MS);
  }

  /** A failure that will not mend soon: the next wait lasts about this long. */
  failedFor(ms: number): void {
    this.#floorMs = ms;
  }

  /** Resolves when another attempt may be made; at once after a success. */
  wait(): Promise<void> {
    const waitMs = this.#floorMs + this.random() * this.#ceilingMs;
    this.#floorMs = 0;
    if (waitMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends a wait that is under way. */
  cancel(): void {
    this.#wake?.();
  }
}
