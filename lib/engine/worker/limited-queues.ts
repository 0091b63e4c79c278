/**
 * Queues that have jobs which the plain claim leaves alone, as the claims have told: those with limits, all of whose jobs are like that, and
 * those with jobs in groups. For each, when to ask again.
 */
export class LimitedQueues {
  readonly #limited = new Set<string>();
  readonly #grouped = new Set<string>();
  /** Not before, by the monotonic clock. */
  readonly #notBefore = new Map<string, number>();
  /** When to ask without being told to. */
  readonly #again = new Map<string, number>();

  /** A plain claim of these queues was answered. */
  learned(
    asked: readonly string[],
    limited: readonly string[] | null | undefined,
    grouped: readonly string[] | null | undefined,
  ): void {
    if (!limited && !grouped && !this.any) return;
    for (const queue of asked) {
      set(this.#limited, queue, limited?.includes(queue) === true);
      set(this.#grouped, queue, grouped?.includes(queue) === true);
    }
  }

  /** Ask the plain claim about everything again: limits may have been taken away. */
  forget(): void {
    this.#limited.clear();
  }

  get any(): boolean {
    return this.#limited.size > 0 || this.#grouped.size > 0;
  }

  has(queue: string): boolean {
    return this.#limited.has(queue) || this.#grouped.has(queue);
  }

  /** Whether the plain claim can bring anything of this queue. */
  isPlain(queue: string): boolean {
    return !this.#limited.has(queue);
  }

  /** Whether to ask for jobs of this queue now. */
  isDue(queue: string, now: number): boolean {
    return this.has(queue) && now >= (this.#notBefore.get(queue) ?? 0);
  }

  /** A claim told to come again after a while: not before, unless it is only some keys that are full. */
  wait(queue: string, waitMs: number, now: number, { someKeys = false } = {}): void {
    this.#again.set(queue, now + waitMs);
    if (!someKeys) this.#notBefore.set(queue, now + waitMs);
  }

  /** Queues whose wait is over; each is told once. */
  waited(now: number): string[] {
    const over = [...this.#again].filter(([, at]) => at <= now).map(([queue]) => queue);
    for (const queue of over) {
      this.#again.delete(queue);
      this.#notBefore.delete(queue);
    }
    return over;
  }

  /** Milliseconds until the next wait is over. */
  untilDue(now: number): number {
    let untilMs = Infinity;
    for (const at of this.#again.values()) untilMs = Math.min(untilMs, at - now);
    return Math.max(0, untilMs);
  }
}

function set(queues: Set<string>, queue: string, member: boolean): void {
  if (member) queues.add(queue);
  else queues.delete(queue);
}
