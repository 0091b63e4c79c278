/** Limits of a {@link Pacer}. */
export interface PacerOptions {
  /** The longest wait when bells ring, in milliseconds. */
  readonly pollIntervalMs: number;
}

/** Between two looks while work flows. */
const HOT_POLL_MS = 3;
/** So long after the last sign of work it still counts as flowing. */
const LINGER_MS = 100;
/** First wait of a worker that has just become quiet; each further one is longer. */
const FIRST_WAIT_MS = 25;
const GROWTH = 1.5;
/** The longest wait when no bell rings. */
const LONGEST_UNRUNG_MS = 200;

/**
 * When to look for work without being called: all the time while work flows, then more and more rarely. With bells the poll is only
 * the safety net for what was inserted before they were armed and committed later, so its waits start short and end at `pollIntervalMs`.
 */
export class Pacer {
  #activeAt = performance.now();
  #lookedAt = performance.now();
  #waitMs = FIRST_WAIT_MS;

  constructor(private readonly options: PacerOptions) {}

  /** There was work, or a sign of it. */
  active(): void {
    this.#activeAt = performance.now();
    this.#waitMs = FIRST_WAIT_MS;
  }

  /** Work was seen so recently that polling beats waiting for a bell. */
  get hot(): boolean {
    return performance.now() - this.#activeAt < LINGER_MS;
  }

  /** Milliseconds until the next look. */
  untilLook(armed: boolean): number {
    return Math.max(0, this.#lookedAt + this.#intervalMs(armed) - performance.now());
  }

  /** A look was taken; when it was one of a quiet worker, the next comes later. */
  looked(): void {
    this.#lookedAt = performance.now();
    if (!this.hot) this.#waitMs = Math.min(this.#waitMs * GROWTH, this.options.pollIntervalMs);
  }

  #intervalMs(armed: boolean): number {
    if (!armed && this.hot) return HOT_POLL_MS;
    return Math.min(
      this.#waitMs,
      armed ? this.options.pollIntervalMs : Math.min(LONGEST_UNRUNG_MS, this.options.pollIntervalMs),
    );
  }
}
