import { describe, expect, it } from 'vitest';
import { SweepClock } from '../../../lib/engine/worker/sweep-clock.js';

/** A clock after its first sweep, at 1,000, that left so many lanes to be swept. */
function swept(unclean: number, tookMs = 0): SweepClock {
  const clock = new SweepClock();
  clock.swept('deep', 1_000, tookMs, unclean);
  return clock;
}

describe('SweepClock', () => {
  it('begins with a deep sweep', () => {
    const clock = new SweepClock();
    expect(clock.due(0)).toBe('deep');
    expect(clock.untilDue(0)).toBe(0);
  });

  it('sweeps what is recent again after 15 ms while lanes are left', () => {
    const clock = swept(1);
    expect(clock.due(1_014)).toBeUndefined();
    expect(clock.untilDue(1_000)).toBe(15);
    expect(clock.due(1_015)).toBe('recent');
  });

  it('does not when none is left, until a claim has moved a head', () => {
    const clock = swept(0);
    expect(clock.due(2_000)).toBeUndefined();
    clock.moved();
    expect(clock.due(2_000)).toBe('recent');
  });

  it('sweeps at once when it is asked to, and only once', () => {
    const clock = swept(0);
    clock.ask();
    expect(clock.untilDue(1_001)).toBe(0);
    expect(clock.due(1_001)).toBe('recent');
    clock.swept('recent', 1_002, 1, 0);
    expect(clock.due(1_020)).toBeUndefined();
  });

  it('sweeps deep every 5 s while lanes are left, and every 30 s when none is', () => {
    expect(swept(1).due(5_999)).toBe('recent');
    expect(swept(1).due(6_000)).toBe('deep');
    expect(swept(0).due(30_999)).toBeUndefined();
    expect(swept(0).due(31_000)).toBe('deep');
    expect(swept(0).untilDue(1_000)).toBe(30_000);
  });

  it('does not put a deep sweep off because of recent ones', () => {
    const clock = swept(1);
    for (let now = 1_015; now < 6_000; now += 15) clock.swept('recent', now, 0, 1);
    expect(clock.due(6_000)).toBe('deep');
  });

  it('takes at most a fiftieth of the time', () => {
    const clock = swept(1, 10);
    expect(clock.untilDue(1_000)).toBe(500);
    clock.swept('deep', 2_000, 1_000, 1);
    expect(clock.due(51_999)).toBeUndefined();
    expect(clock.due(52_000)).toBe('deep');
  });

  it('forgets what it knew when everything is suspect', () => {
    const clock = swept(0, 1_000);
    clock.suspectAll();
    expect(clock.due(1_001)).toBe('deep');
  });
});
