import { describe, expect, it } from 'vitest';
import { type ErrorMatch, mostAttempts, ruleFor } from '../../lib/engine/retry/error-rule.js';

class PaymentDeclined extends Error {}
class CardExpired extends PaymentDeclined {}
abstract class Abstract extends Error {}
class Concrete extends Abstract {}
/** Thrown, though it is no error. */
class Stop {}
/** A class as compilers for old engines write it. */
function OldError(this: Error) {
  return undefined;
}
OldError.prototype = Object.create(Error.prototype) as Error;

const coded = (code: unknown) => Object.assign(new Error('coded'), { code });
const named = (name: string) => Object.assign(new Error('named'), { name });
const unreadable = new Proxy(new Error('unreadable'), {
  get: () => {
    throw new Error('not to be read');
  },
});

const MATCHING: [string, ErrorMatch, unknown][] = [
  ['a class', PaymentDeclined, new PaymentDeclined()],
  ['a class, for its heirs', PaymentDeclined, new CardExpired()],
  ['an abstract class', Abstract, new Concrete()],
  ['Error itself', Error, new TypeError('x')],
  ['a class of what is no error', Stop, new Stop()],
  ['a class compiled to a function', OldError as unknown as ErrorMatch, Object.create(OldError.prototype)],
  ['a code', 'ECONNRESET', coded('ECONNRESET')],
  ['a code that is a number', '429', coded(429)],
  ['a name', 'AbortError', named('AbortError')],
  ["a name that is the class's", 'TypeError', new TypeError('x')],
  ['a code of a plain object', 'E_BUSY', { code: 'E_BUSY' }],
  ['a function', (error) => (error as Error).message === 'x', new Error('x')],
];

const OTHERS: [string, ErrorMatch, unknown][] = [
  ['another class', PaymentDeclined, new Error('x')],
  ['an heir', CardExpired, new PaymentDeclined()],
  ['another code', 'ECONNRESET', coded('ETIMEDOUT')],
  ['a message', 'coded', coded('E')],
  ['a code in another case', 'econnreset', coded('ECONNRESET')],
  ['the code of a cause', 'ECONNRESET', new Error('x', { cause: coded('ECONNRESET') })],
  ['a text, for nothing', 'x', undefined],
  ['a text, for null', 'x', null],
  ['a text, for the same text', 'x', 'x'],
  ['a function', () => false, new Error('x')],
];

describe('ruleFor', () => {
  it.each(MATCHING)('matches by %s', (_what, match, error) => {
    const rule = { match, reject: true } as const;
    expect(ruleFor([rule], error)).toBe(rule);
  });

  it.each(OTHERS)('does not match by %s', (_what, match, error) => {
    expect(ruleFor([{ match, reject: true }], error)).toBeUndefined();
  });

  it('answers with the first that matches', () => {
    const rules = [
      { match: 'ECONNRESET', snoozeMs: 1 },
      { match: CardExpired, reject: true },
      { match: PaymentDeclined, maxAttempts: 2 },
      { match: Error, maxAttempts: 9 },
    ] as const;
    expect(ruleFor(rules, new CardExpired())).toBe(rules[1]);
    expect(ruleFor(rules, new PaymentDeclined())).toBe(rules[2]);
    expect(ruleFor(rules, new RangeError())).toBe(rules[3]);
    expect(ruleFor(rules, 'no error')).toBeUndefined();
  });

  it.each<[string, (error: unknown) => boolean, string]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
      'broken',
    ],
    [
      'answers a promise',
      (async () => true) as never,
      'A matcher of "errors" answered a value of type object.',
    ],
    [
      'answers nothing',
      (() => undefined) as never,
      'A matcher of "errors" answered a value of type undefined.',
    ],
  ])('passes over a function that %s, and says so', (_what, match, message) => {
    const problems: unknown[] = [];
    const rules = [
      { match, reject: true },
      { match: Error, maxAttempts: 2 },
    ] as const;
    expect(ruleFor(rules, new Error('x'), (problem) => problems.push(problem))).toBe(rules[1]);
    expect(problems).toEqual([expect.objectContaining({ message })]);
  });

  it('passes over errors that refuse to be read', () => {
    const problems: unknown[] = [];
    expect(
      ruleFor([{ match: 'E', reject: true }], unreadable, (problem) => problems.push(problem)),
    ).toBeUndefined();
    expect(problems).toHaveLength(1);
  });
});

describe('mostAttempts', () => {
  it('is the most that any rule allows', () => {
    expect(mostAttempts([])).toBe(0);
    expect(
      mostAttempts([
        { match: Error, reject: true },
        { match: 'a', snoozeMs: 5 },
      ]),
    ).toBe(0);
    expect(
      mostAttempts([
        { match: 'a', maxAttempts: 5 },
        { match: 'b', maxAttempts: 50 },
        { match: 'c', backoff: 1 },
      ]),
    ).toBe(50);
  });
});
