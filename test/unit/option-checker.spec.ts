import { describe, expect, it } from 'vitest';
import { InvalidOptionsError } from '../../lib/engine/errors.js';
import {
  boolean,
  callable,
  check,
  integer,
  listOf,
  object,
  oneOf,
  problemsOf,
  secret,
  splitOptions,
  throwProblems,
  timeout,
  withDefaults,
} from '../../lib/engine/option-checker.js';

const CHECKS = {
  size: integer(1, 10),
  enabled: boolean,
  mode: oneOf('fast', 'slow'),
  onDone: callable,
  waitMs: timeout(1),
  names: listOf(
    check('text', (value) => typeof value === 'string'),
    { min: 1, max: 3 },
  ),
  password: secret('text', (value) => typeof value === 'string'),
  inner: object({ depth: integer(0, 5) }, ['depth']),
};
const problemsWith = (options: unknown) => problemsOf(options, CHECKS);

describe('problemsOf', () => {
  it('finds nothing wrong with right options, and with none', () => {
    const right = {
      size: 10,
      enabled: false,
      mode: 'slow',
      onDone: () => 1,
      waitMs: Infinity,
      names: ['a'],
      inner: { depth: 0 },
    };
    expect(problemsWith(right)).toEqual([]);
    expect(problemsWith({})).toEqual([]);
  });

  it('takes undefined for not given', () => {
    expect(problemsWith({ size: undefined, inner: undefined })).toEqual([]);
  });

  const SHOWN: [given: unknown, shown: string][] = [
    [0, '0'],
    [-1, '-1'],
    [1.5, '1.5'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [1e9, '1000000000'],
    ['5', '"5"'],
    [null, 'null'],
    [5n, 'a bigint'],
    [true, 'true'],
    [{ a: 'secret' }, 'an object'],
    [['secret'], 'an array of 1'],
    [() => 'secret', 'a function'],
    [new Date(NaN), 'an invalid Date'],
    ['', '""'],
    ['x'.repeat(1_000), `"${'x'.repeat(40)}…"`],
    ['postgres://user:secret@host/db', 'a URL'],
  ];

  it.each(SHOWN)(
    'says what is expected and that %s was given, but not what may be secret',
    (given, shown) => {
      expect(problemsWith({ size: given })).toEqual([`size: expected an integer from 1 to 10, got ${shown}`]);
    },
  );

  it('never shows the value of a secret', () => {
    expect(problemsWith({ password: 12_345 })).toEqual(['password: expected text, got a number']);
  });

  it('lists every problem, each at its path', () => {
    expect(
      problemsWith({ size: 0, mode: 'medium', names: ['a', 5], inner: { depth: 9, dept: 1 }, waitMs: 0 }),
    ).toEqual([
      'size: expected an integer from 1 to 10, got 0',
      "mode: expected 'fast' or 'slow', got \"medium\"",
      'names[1]: expected text, got 5',
      'inner.depth: expected an integer from 0 to 5, got 9',
      'inner.dept: unknown option, did you mean "depth"?',
      'waitMs: expected an integer from 1 to 2147483647, or Infinity, got 0',
    ]);
  });

  it.each([
    ['sise', 'did you mean "size"?'],
    ['Size', 'did you mean "size"?'],
    ['enabeld', 'did you mean "enabled"?'],
    ['wait', 'did you mean "waitMs"?'],
    ['colour', 'known are size, enabled, mode, onDone, waitMs, names, password, inner'],
    ['constructor', 'known are size, enabled, mode, onDone, waitMs, names, password, inner'],
  ])('says of the unknown option "%s": %s', (key, suggestion) => {
    expect(problemsWith({ [key]: 1 })).toEqual([`${key}: unknown option, ${suggestion}`]);
  });

  it('bounds the length of a list, and looks no further', () => {
    expect(problemsWith({ names: [] })).toEqual(['names: expected at least 1 element, got 0']);
    expect(problemsWith({ names: [1, 'b', 'c', 4] })).toEqual([
      'names: expected at most 3 elements, got 4',
      'names[0]: expected text, got 1',
    ]);
  });

  it('says what is missing', () => {
    expect(problemsWith({ inner: {} })).toEqual([
      'inner.depth: expected an integer from 0 to 5, got undefined',
    ]);
  });

  it.each([undefined, null, 5, 'text', []])('refuses %j in place of options', (options) => {
    expect(problemsWith(options)).toHaveLength(1);
  });
});

describe('throwProblems', () => {
  it('throws one error for all, and none for none', () => {
    expect(() => throwProblems('the module', [])).not.toThrow();
    expect(() => throwProblems('the module', ['a', 'b'])).toThrow(InvalidOptionsError);
    expect(() => throwProblems('the module', ['a', 'b'])).toThrow(
      'Invalid options for the module:\n  - a\n  - b',
    );
  });
});

describe('splitOptions', () => {
  it('divides by key', () => {
    const { own, rest } = splitOptions({ size: 1, other: 2, constructor: 3 }, CHECKS);
    expect(own).toEqual({ size: 1 });
    expect(rest).toEqual({ other: 2, constructor: 3 });
  });
});

describe('withDefaults', () => {
  it('lets what is given win, but not undefined', () => {
    expect(withDefaults({ a: 1, b: 2, c: 3 }, { a: 0, b: undefined } as never)).toEqual({ a: 0, b: 2, c: 3 });
  });
});
