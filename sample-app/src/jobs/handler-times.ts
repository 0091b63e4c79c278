import { Injectable } from '@nestjs/common';

/** How long the handler of a queue has taken in this process, in milliseconds. */
export interface QueueTimes {
  readonly count: number;
  readonly averageMs: number;
  readonly longestMs: number;
}

@Injectable()
export class HandlerTimes {
  readonly #times = new Map<string, { count: number; totalMs: number; longestMs: number }>();

  add(queue: string, ms: number): void {
    const { count, totalMs, longestMs } = this.#times.get(queue) ?? { count: 0, totalMs: 0, longestMs: 0 };
    this.#times.set(queue, { count: count + 1, totalMs: totalMs + ms, longestMs: Math.max(longestMs, ms) });
  }

  /** By queue. */
  all(): Record<string, QueueTimes> {
    const entries = [...this.#times].map(([queue, { count, totalMs, longestMs }]) => [
      queue,
      { count, averageMs: Math.round(totalMs / count), longestMs: Math.round(longestMs) },
    ]);
    return Object.fromEntries(entries) as Record<string, QueueTimes>;
  }
}
