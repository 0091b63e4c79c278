import { describe, expect, it } from 'vitest';
import { Isolation } from '../../../lib/engine/worker/isolation.js';

const BUSY = false;
const IDLE = true;

describe('Isolation', () => {
  it('holds nothing back while no job waits for it', () => {
    const isolation = new Isolation();
    expect(isolation.holdsBack(BUSY, 0)).toBe(false);
    expect(isolation.holdsBack(IDLE, 0)).toBe(false);
    expect(isolation.waiting).toBe(false);
  });

  it('holds claims back until the process is empty', () => {
    const isolation = new Isolation();
    isolation.found();
    expect(isolation.waiting).toBe(true);
    expect(isolation.holdsBack(BUSY, 0)).toBe(true);
    expect(isolation.holdsBack(BUSY, 1_999)).toBe(true);
    expect(isolation.holdsBack(IDLE, 2_000)).toBe(true);
  });

  it('gives up after a while, and tries again later with more patience', () => {
    const isolation = new Isolation();
    isolation.found();
    isolation.holdsBack(BUSY, 0);
    expect(isolation.holdsBack(BUSY, 2_000)).toBe(false);
    expect(isolation.holdsBack(BUSY, 3_999)).toBe(false);
    expect(isolation.holdsBack(BUSY, 4_000)).toBe(true);
    expect(isolation.holdsBack(BUSY, 7_999)).toBe(true); // 4 s, twice as long as before
    expect(isolation.holdsBack(BUSY, 8_000)).toBe(false);
  });

  it('asks now and then whether the job still waits, while it holds claims back', () => {
    const isolation = new Isolation();
    isolation.found(0);
    expect(isolation.doubtful(250)).toBe(false); // nothing is held back yet
    isolation.holdsBack(BUSY, 0);
    expect([isolation.doubtful(249), isolation.doubtful(250)]).toEqual([false, true]);
    isolation.found(250);
    expect([isolation.doubtful(499), isolation.doubtful(500)]).toEqual([false, true]);
    isolation.gone();
    expect(isolation.doubtful(1_000)).toBe(false);
    expect(isolation.holdsBack(BUSY, 1_000)).toBe(false);
  });

  it('never has more patience than a minute', () => {
    const isolation = new Isolation();
    isolation.found();
    const held: number[] = [];
    let since: number | undefined;
    for (let now = 0; now < 1_000_000; now += 500) {
      const holds = isolation.holdsBack(BUSY, now);
      if (holds) since ??= now;
      else if (since !== undefined) {
        held.push(now - since);
        since = undefined;
      }
    }
    expect(held.slice(0, 6)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
    expect(Math.max(...held)).toBe(60_000);
  });

  it('lets nothing in while the job runs, and asks for another when it has ended', () => {
    const isolation = new Isolation();
    isolation.found();
    isolation.holdsBack(IDLE, 0);
    isolation.answered(true);
    expect(isolation.waiting).toBe(false); // none beside it
    expect(isolation.holdsBack(BUSY, 100_000)).toBe(true);
    expect(isolation.holdsBack(IDLE, 100_001)).toBe(true);
    expect(isolation.waiting).toBe(true);
    isolation.answered(false);
    expect(isolation.holdsBack(IDLE, 100_002)).toBe(false);
  });

  it('is patient anew after it had its way', () => {
    const isolation = new Isolation();
    isolation.found();
    isolation.holdsBack(BUSY, 0);
    isolation.holdsBack(BUSY, 2_000);
    isolation.answered(false);
    isolation.found();
    expect(isolation.holdsBack(BUSY, 10_000)).toBe(true);
    expect(isolation.holdsBack(BUSY, 12_000)).toBe(false);
  });
});
