import { describe, expect, it } from 'vitest';
import type { Backoff } from '../../lib/engine/retry/backoff.js';
import { delayOf, wholeDelay } from '../../lib/engine/retry/retry-delay.js';

const HOUR = 3_600_000;
const CENTURY = 3_153_600_000_000;
const boom = new Error('boom');
const least = () => 0;
const most = () => 1 - Number.EPSILON;
const delays = (backoff: Backoff, attempts: number[], random = least) =>
  attempts.map((attempt) => delayOf(backoff, attempt, boom, random));

describe('delayOf', () => {
  it('takes a number for every attempt', () => {
    expect(delays(5_000, [1, 2, 1_000])).toEqual([5_000, 5_000, 5_000]);
    expect(delays(0, [1])).toEqual([0]);
  });

  it('takes the delays of an array in order, and repeats the last', () => {
    expect(delays([10, 20, 30], [1, 2, 3, 4, 1_000_000])).toEqual([10, 20, 30, 30, 30]);
  });

  it('asks a function with the attempt and the error', () => {
    const calls: unknown[] = [];
    const backoff = (...call: [number, unknown]) => calls.push(call) * 100;
    expect(delays(backoff, [1, 7])).toEqual([100, 200]);
    expect(calls).toEqual([
      [1, boom],
      [7, boom],
    ]);
  });

  it.each([
    ['fixed', [1_000, 1_000, 1_000, 1_000]],
    ['linear', [1_000, 2_000, 3_000, 60_000]],
    ['exponential', [1_000, 2_000, 4_000, 60_000]],
  ] as const)('grows %s up to maxDelayMs', (type, expected) => {
    const policy = { type, delayMs: 1_000, maxDelayMs: 60_000, jitter: false };
    expect(delays(policy, [1, 2, 3, 1_000_000])).toEqual(expected);
  });

  it('draws between half and all of the delay', () => {
    const policy = { type: 'exponential', delayMs: 1_000, maxDelayMs: 60_000 } as const;
    expect(delays(policy, [1, 2, 100], least)).toEqual([500, 1_000, 30_000]);
    expect(delays(policy, [1, 2, 100], most)).toEqual([1_000, 2_000, 60_000]);
  });

  it('begins at 1 s, ends at 1 h and draws, where the policy does not say', () => {
    expect(delays({ type: 'exponential' }, [1, 2, 100], least)).toEqual([500, 1_000, HOUR / 2]);
    expect(delays({ type: 'fixed', delayMs: undefined } as never, [1], most)).toEqual([1_000]);
  });

  it('answers whole milliseconds, of 100 years at most', () => {
    expect(delays(() => 1.2, [1])).toEqual([2]);
    expect(delays(() => 1e300, [1])).toEqual([CENTURY]);
    expect(delays(() => Infinity, [1])).toEqual([CENTURY]);
  });

  const BROKEN: Record<string, unknown> = {
    'a function that throws': () => {
      throw boom;
    },
    'a function that throws undefined': () => {
      throw undefined;
    },
    'a function that answers NaN': () => NaN,
    'a function that answers a negative number': () => -1,
    'a function that answers text': () => '5000',
    'a function that answers nothing': () => undefined,
    'an async function': () => Promise.resolve(5),
    'an empty array': [],
    'an array of text': ['5s'],
    NaN: NaN,
    'an unknown type': { type: 'cubic', delayMs: 5 },
    'a policy with text': { type: 'fixed', delayMs: '5s' },
    null: null,
    text: '5s',
  };

  it.each(Object.entries(BROKEN))('uses the default instead of %s, and says so', (_, backoff) => {
    const problems: unknown[] = [];
    const report = (problem: unknown) => problems.push(problem);
    expect(delayOf(backoff as Backoff, 2, boom, least, report)).toBe(1_000);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toBeInstanceOf(Error);
  });

  it('says what a function threw', () => {
    const problems: unknown[] = [];
    const backoff = () => {
      throw boom;
    };
    delayOf(backoff, 1, undefined, least, (problem) => problems.push(problem));
    expect(problems).toEqual([boom]);
  });
});

describe('wholeDelay', () => {
  it.each([
    [0, 0],
    [0.1, 1],
    [5_000, 5_000],
    [Infinity, CENTURY],
  ])('makes %d ms %d', (given, expected) => expect(wholeDelay(given)).toBe(expected));

  it.each([-1, NaN, -Infinity, '5', undefined, null, 5n])('knows that %s is no delay', (given) => {
    expect(wholeDelay(given)).toBeUndefined();
  });
});
