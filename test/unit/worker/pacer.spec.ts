import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Pacer } from '../../../lib/engine/worker/pacer.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTime(ms);

/** The waits of a quiet worker, one after another. */
function waits(pacer: Pacer, armed: boolean, count: number): number[] {
  return Array.from({ length: count }, () => {
    const wait = pacer.untilLook(armed);
    pass(wait);
    pacer.looked();
    return Math.round(wait);
  });
}

describe('Pacer', () => {
  it('looks all the time while work flows, and for a moment after', () => {
    const pacer = new Pacer({ pollIntervalMs: 2_000 });
    pacer.active();
    pacer.looked();
    expect(pacer.hot).toBe(true);
    expect(pacer.untilLook(false)).toBe(3);
    pass(99);
    expect(pacer.hot).toBe(true);
    pass(1);
    expect(pacer.hot).toBe(false);
  });

  it('looks more and more rarely while bells ring, at last once in `pollIntervalMs`', () => {
    const pacer = new Pacer({ pollIntervalMs: 2_000 });
    pass(100);
    pacer.looked();
    const waited = waits(pacer, true, 20);
    expect(waited[0]).toBeLessThan(50);
    expect(waited).toEqual(waited.toSorted((one, other) => one - other));
    expect(waited.at(-1)).toBe(2_000);
  });

  it('never waits for longer than 200 ms without a bell', () => {
    const pacer = new Pacer({ pollIntervalMs: 2_000 });
    pass(100);
    pacer.looked();
    expect(Math.max(...waits(pacer, false, 20))).toBe(200);
  });

  it('waits no longer than `pollIntervalMs` without a bell either', () => {
    const pacer = new Pacer({ pollIntervalMs: 50 });
    pass(100);
    pacer.looked();
    expect(Math.max(...waits(pacer, false, 20))).toBe(50);
  });

  it('begins anew with every sign of work', () => {
    const pacer = new Pacer({ pollIntervalMs: 2_000 });
    pass(100);
    waits(pacer, true, 20);
    pacer.active();
    pass(100);
    pacer.looked();
    expect(pacer.untilLook(true)).toBeLessThan(50);
  });

  it('counts from the last look', () => {
    const pacer = new Pacer({ pollIntervalMs: 2_000 });
    pass(100);
    pacer.looked();
    const wait = pacer.untilLook(true);
    pass(10);
    expect(pacer.untilLook(true)).toBeCloseTo(wait - 10);
    pass(1_000);
    expect(pacer.untilLook(true)).toBe(0);
  });
});
