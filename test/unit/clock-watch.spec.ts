import { describe, expect, it } from 'vitest';
import { ClockWatch } from '../../lib/engine/maintenance/clock-watch.js';

const HOUR = 3_600_000;

describe('a watch on a clock', () => {
  const watch = () => {
    const clock = new ClockWatch();
    expect(clock.jumped(1_000_000, 0, 10)).toBe(false); // the first time there is nothing to compare with
    return clock;
  };

  it('says nothing while the clock goes as ours does, or a little off', () => {
    const clock = watch();
    expect(clock.jumped(1_060_000, 60_000, 60_010)).toBe(false);
    expect(clock.jumped(1_124_000, 120_000, 120_010)).toBe(false);
  });

  it.each([HOUR, -HOUR, 6_000, -6_000])('notices a jump by %i ms, once', (jump) => {
    const clock = watch();
    expect(clock.jumped(1_060_000 + jump, 60_000, 60_010)).toBe(true);
    expect(clock.jumped(1_120_000 + jump, 120_000, 120_010)).toBe(false);
  });

  it('takes an answer that was long in coming for no jump', () => {
    const clock = watch();
    expect(clock.jumped(1_060_000, 60_000, 90_000)).toBe(false);
    expect(clock.jumped(1_120_000, 120_000, 120_010)).toBe(false);
  });
});
