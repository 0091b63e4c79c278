import type { Timing } from './timing.js';

/** Due every so often after an anchor. Anchored, it does not drift: what one firing is late changes nothing for the next. */
export class IntervalTiming implements Timing {
  readonly #anchorMs: number;

  constructor(
    private readonly everyMs: number,
    anchorAt: Date,
  ) {
    this.#anchorMs = anchorAt.getTime();
  }

  next(after: Date): Date | undefined {
    return this.#at(this.#ended(after) + 1);
  }

  between(after: Date, until: Date, limit: number): Date[] {
    const last = this.#ended(until);
    const first = Math.max(this.#ended(after), last - limit) + 1;
    const dueTimes: Date[] = [];
    for (let index = first; index <= last; index += 1) dueTimes.push(this.#at(index));
    return dueTimes;
  }

  /** Number of the latest interval that has ended by then, 0 when none has. */
  #ended(by: Date): number {
    return Math.max(0, Math.floor((by.getTime() - this.#anchorMs) / this.everyMs));
  }

  #at(index: number): Date {
    return new Date(this.#anchorMs + index * this.everyMs);
  }
}
