import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Doorbell } from '../../../lib/engine/worker/doorbell.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A doorbell, and what it asked its listener for. */
function doorbellOf(listens = true) {
  const asked: string[] = [];
  const doorbell = new Doorbell({
    arm: async (queues) => {
      asked.push(`arm ${queues.join()}`);
      return listens;
    },
    disarm: async (queues) => {
      asked.push(`disarm ${queues.join()}`);
    },
  });
  return { doorbell, asked };
}

const ring = (doorbell: Doorbell, times: number, everyMs: number) =>
  Array.from({ length: times }, () => {
    vi.advanceTimersByTime(everyMs);
    return doorbell.rang();
  });

describe('Doorbell', () => {
  it('is armed once, and disarmed for the same queues', async () => {
    const { doorbell, asked } = doorbellOf();
    expect(doorbell.armed).toBe(false);
    expect(await doorbell.arm(['a', 'b'])).toBe(true);
    expect(await doorbell.arm(['a', 'b'])).toBe(true);
    expect(doorbell.armed).toBe(true);
    await doorbell.disarm();
    await doorbell.disarm();
    expect(doorbell.armed).toBe(false);
    expect(asked).toEqual(['arm a,b', 'disarm a,b']);
  });

  it('is not armed when nobody listens', async () => {
    const { doorbell } = doorbellOf(false);
    expect(await doorbell.arm(['a'])).toBe(false);
    expect(doorbell.armed).toBe(false);
  });

  it('is armed again after its connection was lost, without disarming the old one', async () => {
    const { doorbell, asked } = doorbellOf();
    await doorbell.arm(['a']);
    doorbell.forget();
    expect(doorbell.armed).toBe(false);
    await doorbell.disarm();
    await doorbell.arm(['a']);
    expect(asked).toEqual(['arm a', 'arm a']);
  });

  it('says when bells come too fast', () => {
    const { doorbell } = doorbellOf();
    expect(ring(doorbell, 8, 10)).toEqual([false, false, false, false, false, false, false, true]);
  });

  it('bears with slow ones, and with a few fast ones', () => {
    const { doorbell } = doorbellOf();
    expect(ring(doorbell, 50, 100)).not.toContain(true);
    expect(ring(doorbell, 3, 1)).not.toContain(true);
  });

  it('forgets how fast they came when it is disarmed', async () => {
    const { doorbell } = doorbellOf();
    await doorbell.arm(['a']);
    ring(doorbell, 7, 10);
    await doorbell.disarm();
    expect(ring(doorbell, 7, 10)).not.toContain(true);
  });
});
