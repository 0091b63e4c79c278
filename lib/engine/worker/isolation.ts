/** How long claims are held back to empty the process for a job on its last chance: doubled each time it was in vain. */
const FIRST_HOLD_MS = 2_000;
const LONGEST_HOLD_MS = 60_000;
/** While claims are held back it is asked this often whether another worker has taken the job meanwhile. */
const DOUBT_MS = 250;

/**
 * Room for jobs on their last chance: one that may kill its process runs with nothing beside it. While some wait, claims are
 * held back until the process is empty; when its handlers take too long, work goes on and it is tried again later,
 * with more patience.
 */
export class Isolation {
  #waiting = false;
  #busy = false;
  #heldSince: number | undefined;
  #holdMs = FIRST_HOLD_MS;
  #nextHoldAt = 0;
  #seenAt = -Infinity;

  /** Jobs on their last chance wait, as far as is known. */
  get waiting(): boolean {
    return this.#waiting && !this.#busy;
  }

  /** Some wait in the database. */
  found(now = performance.now()): void {
    this.#waiting = true;
    this.#seenAt = now;
  }

  /** None waits any more: another worker has taken it. */
  gone(): void {
    this.#waiting = false;
    this.#heldSince = undefined;
  }

  /** Claims are held back for a job that was last seen a while ago. */
  doubtful(now = performance.now()): boolean {
    return this.waiting && this.#heldSince !== undefined && now - this.#seenAt >= DOUBT_MS;
  }

  /** Whether ordinary claims should wait. */
  holdsBack(idle: boolean, now = performance.now()): boolean {
    if (this.#busy && idle) this.#busy = false;
    if (this.#busy) return true;
    if (!this.#waiting) return false;
    if (idle) return true;
    if (now < this.#nextHoldAt) return false;
    this.#heldSince ??= now;
    if (now - this.#heldSince < this.#holdMs) return true;
    this.#giveUp(now);
    return false;
  }

  /** The database was asked for one: got it, or there was none left. */
  answered(got: boolean): void {
    this.#busy = got;
    this.#waiting = got;
    this.#heldSince = undefined;
    this.#holdMs = FIRST_HOLD_MS;
  }

  #giveUp(now: number): void {
    this.#nextHoldAt = now + this.#holdMs;
    this.#holdMs = Math.min(this.#holdMs * 2, LONGEST_HOLD_MS);
    this.#heldSince = undefined;
  }
}
