/** Between two sweeps of the recent stretch, while there is one. */
const SWEEP_MS = 15;
/** Between two sweeps from the beginning. */
const DEEP_MS = 5_000;
const DEEP_IDLE_MS = 30_000;
/** A sweep may take a fiftieth of the time: one that is long (dead entries under a pinned snapshot) comes rarely. */
const SHARE = 50;

/** When to look behind the heads of the lanes. */
export class SweepClock {
  #unclean = true;
  #asked = false;
  #nextMs = 0;
  #nextDeepMs = 0;

  /** A claim has moved heads: something may commit behind them. */
  moved(): void {
    this.#unclean = true;
  }

  /** A bell rang and nothing was found at the heads: look behind them now. */
  ask(): void {
    this.#asked = true;
  }

  /** Everything is suspect: a start, a new connection, a failover. */
  suspectAll(): void {
    this.#unclean = true;
    this.#nextMs = 0;
    this.#nextDeepMs = 0;
  }

  /** Which sweep is due now, if any. */
  due(now: number): 'recent' | 'deep' | undefined {
    if (now >= this.#nextDeepMs) return 'deep';
    if (this.#asked || (this.#unclean && now >= this.#nextMs)) return 'recent';
    return undefined;
  }

  /** Milliseconds until one is due. */
  untilDue(now: number): number {
    if (this.#asked) return 0;
    const next = this.#unclean ? Math.min(this.#nextMs, this.#nextDeepMs) : this.#nextDeepMs;
    return Math.max(0, next - now);
  }

  /** A sweep has ended after `tookMs`; `unclean` lanes are left. */
  swept(kind: 'recent' | 'deep', now: number, tookMs: number, unclean: number): void {
    this.#asked = false;
    this.#unclean = unclean > 0;
    this.#nextMs = now + Math.max(SWEEP_MS, tookMs * SHARE);
    if (kind === 'deep')
      this.#nextDeepMs = now + Math.max(unclean > 0 ? DEEP_MS : DEEP_IDLE_MS, tookMs * SHARE);
  }
}
