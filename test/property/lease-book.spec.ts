import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseBook } from '../../lib/engine/worker/lease-book.js';

/** What happens to a book: leases come, statements settle some of their jobs, and succeed or fail. */
type Step =
  | { readonly kind: 'open'; readonly jobs: number }
  | { readonly kind: 'send'; readonly picks: readonly number[] }
  | { readonly kind: 'confirm'; readonly which: number }
  | { readonly kind: 'fail'; readonly which: number }
  | { readonly kind: 'lose'; readonly which: number };

const which = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('open' as const), jobs: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('send' as const), picks: fc.array(which, { maxLength: 5 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('confirm' as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), which }) },
);

interface Statement {
  readonly jobs: readonly string[];
  readonly closed: readonly string[];
}

/** The database beside the book: what is settled there, and which leases are left. */
class World {
  readonly book = new LeaseBook();
  /** Jobs that have ended here and are not confirmed, by their lease. */
  readonly waiting: string[] = [];
  readonly sent: Statement[] = [];
  readonly leases = new Map<string, number>();
  readonly lost = new Set<string>();
  #next = 0;

  apply(step: Step): void {
    switch (step.kind) {
      case 'open':
        return this.#open(step.jobs);
      case 'send':
        return this.#send(step.picks);
      case 'confirm':
        return this.#take(step.which, (statement) => this.#confirm(statement));
      case 'fail':
        return this.#take(step.which, (statement) => this.#fail(statement));
      case 'lose':
        return this.#lose(step.which);
    }
  }

  /** Everything ends well. */
  settle(): void {
    for (const statement of this.sent.splice(0)) this.#confirm(statement);
    while (this.waiting.length > 0 || this.book.unclosed) {
      this.#send(this.waiting.map((_, index) => index));
      this.#confirm(this.sent.pop()!);
    }
  }

  #open(jobs: number): void {
    const id = String((this.#next += 1));
    this.leases.set(id, jobs);
    this.book.opened(id, jobs);
    for (let job = 0; job < jobs; job += 1) this.waiting.push(id);
  }

  #send(picks: readonly number[]): void {
    const jobs: string[] = [];
    for (const pick of picks) {
      if (this.waiting.length > 0) jobs.push(...this.waiting.splice(pick % this.waiting.length, 1));
    }
    this.sent.push({ jobs, closed: this.book.closedBy(jobs) });
  }

  #take(index: number, then: (statement: Statement) => void): void {
    if (this.sent.length > 0) then(this.sent.splice(index % this.sent.length, 1)[0]!);
  }

  #confirm({ jobs, closed }: Statement): void {
    for (const id of jobs) this.leases.set(id, (this.leases.get(id) ?? 0) - 1);
    for (const id of closed) {
      // The invariant: a lease goes only when none of its jobs is left.
      if (!this.lost.has(id)) assert.equal(this.leases.get(id), 0);
      this.leases.delete(id);
    }
    this.book.settled(jobs, closed);
  }

  #fail({ jobs, closed }: Statement): void {
    this.book.notClosed(closed);
    this.waiting.push(...jobs);
  }

  #lose(index: number): void {
    const ids = this.book.ids;
    if (ids.length === 0) return;
    const id = ids[index % ids.length]!;
    this.lost.add(id);
    this.book.lost(new Set([id]));
  }
}

describe('LeaseBook', () => {
  it('deletes each lease with or after the settlement of its last job, never before, and in the end all', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const each of steps) world.apply(each);
        world.settle();
        expect(world.book.ids).toEqual([]);
        const left = [...world.leases.keys()].filter((id) => !world.lost.has(id));
        expect(left).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});
