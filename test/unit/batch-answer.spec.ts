import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { InvalidBatchResultError } from '../../lib/engine/errors.js';
import { answersOf, returnedOrThrown } from '../../lib/engine/job/batch-answer.js';
import { ack, reject, snooze } from '../../lib/engine/job/outcome.js';
import { thrownBy } from '../support/thrown-by.js';

const ofAnotherRealm = runInContext('new Error("elsewhere")', createContext()) as Error;

describe('answersOf', () => {
  it.each([
    ['nothing', undefined, [undefined, undefined]],
    ['an array of one answer a job', [1, 'two'], [1, 'two']],
    ['one outcome, for all', snooze(5), [snooze(5), snooze(5)]],
  ])('takes %s', (_what, returned, answers) => {
    expect(answersOf(returned, 2, 'mail')).toEqual(answers);
  });

  it.each([
    ['too few', [1], 'an array of 1'],
    ['too many', [1, 2, 3], 'an array of 3'],
    ['none', [], 'an array of 0'],
    ['null', null, 'null'],
    ['a value', 5, 'a number'],
    ['an object', { 0: 1, 1: 2, length: 2 }, 'an object'],
    ['an error', new Error('boom'), 'an object'],
    ['a set', new Set([1, 2]), 'an object'],
  ])('refuses %s, and says what was returned', (_what, returned, words) => {
    const error = thrownBy(() => answersOf(returned, 2, 'mail'));
    expect(error).toBeInstanceOf(InvalidBatchResultError);
    expect(error).toMatchObject({ code: 'TM_INVALID_BATCH_RESULT', queue: 'mail', jobs: 2, returned: words });
    expect((error as Error).message).toContain(`returned ${words} for a batch of 2`);
  });
});

describe('returnedOrThrown', () => {
  it.each([[undefined], [null], [0], [{ name: 'Error', message: 'only looks like one' }]])(
    'returns the value %o',
    (value) => {
      expect(returnedOrThrown(value)).toBe(value);
    },
  );

  it.each([[ack(1)], [reject('no')], [snooze(1)]])('returns the outcome %o', (outcome) => {
    expect(returnedOrThrown(outcome)).toBe(outcome);
  });

  it.each([[new TypeError('boom')], [ofAnotherRealm]])('throws the error %o', (error) => {
    expect(thrownBy(() => returnedOrThrown(error))).toBe(error);
  });
});
