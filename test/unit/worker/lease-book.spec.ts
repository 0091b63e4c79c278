import { describe, expect, it } from 'vitest';
import { LeaseBook } from '../../../lib/engine/worker/lease-book.js';

describe('LeaseBook', () => {
  it('closes a lease with the settlement of its last job', () => {
    const book = new LeaseBook();
    book.opened('1', 3);
    expect(book.closedBy(['1', '1'])).toEqual([]);
    book.settled(['1', '1'], []);
    expect(book.has('1')).toBe(true);
    expect(book.closedBy(['1'])).toEqual(['1']);
    book.settled(['1'], ['1']);
    expect(book.has('1')).toBe(false);
    expect(book.unclosed).toBe(false);
  });

  it('closes several leases with one statement', () => {
    const book = new LeaseBook();
    book.opened('1', 1);
    book.opened('2', 2);
    book.opened('3', 2);
    expect(book.closedBy(['1', '2', '3', '3'])).toEqual(['1', '3']);
  });

  it('never closes a lease by two statements that are on their way together: each settles only a part', () => {
    const book = new LeaseBook();
    book.opened('1', 2);
    const first = book.closedBy(['1']);
    const second = book.closedBy(['1']);
    expect([first, second]).toEqual([[], []]);
    book.settled(['1'], first);
    book.settled(['1'], second);
    expect(book.unclosed).toBe(true); // left to the next statement
    expect(book.closedBy([])).toEqual(['1']);
    expect(book.unclosed).toBe(false);
  });

  it('closes a lease again when the statement that was to do it failed', () => {
    const book = new LeaseBook();
    book.opened('1', 1);
    const closed = book.closedBy(['1']);
    book.notClosed(closed);
    expect(book.has('1')).toBe(true);
    expect(book.unclosed).toBe(false); // its job is not settled yet
    expect(book.closedBy(['1'])).toEqual(['1']);
  });

  it('does not forget finished leases when the statement that was to delete them failed', () => {
    const book = new LeaseBook();
    book.opened('1', 1);
    book.settled(['1'], []); // its job was acked by a transaction of its own
    const closed = book.closedBy([]);
    expect(closed).toEqual(['1']);
    book.notClosed(closed);
    expect(book.unclosed).toBe(true);
    expect(book.closedBy([])).toEqual(['1']);
  });

  it('has nothing left to delete of leases that were taken away', () => {
    const book = new LeaseBook();
    book.opened('1', 1);
    book.opened('2', 1);
    book.lost(new Set(['1']));
    expect(book.ids).toEqual(['2']);
    expect(book.closedBy(['1'])).toEqual([]);
    book.settled(['1'], []);
    expect(book.unclosed).toBe(false);
  });

  it('has nothing left at all after its worker was declared dead', () => {
    const book = new LeaseBook();
    book.opened('1', 2);
    book.opened('2', 1);
    book.settled(['2'], []);
    book.clear();
    expect(book.ids).toEqual([]);
    expect(book.unclosed).toBe(false);
    book.settled(['1', '1'], []);
    expect(book.unclosed).toBe(false);
  });
});
