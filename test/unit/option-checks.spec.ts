import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InvalidOptionsError } from '../../lib/engine/errors.js';
import { boolean } from '../../lib/engine/option-checker.js';
import {
  checkHandlerOptions,
  checkJobOptions,
  checkNewJobOptions,
  checkQueueOptions,
} from '../../lib/engine/option-checks.js';

const CENTURY = 3_153_600_000_000;

const RIGHT_QUEUE_OPTIONS: unknown[] = [
  {},
  { concurrency: 1, maxAttempts: 1, timeoutMs: 1, backoff: 0 },
  { concurrency: 10_000, maxAttempts: 1_000_000, timeoutMs: 2_147_483_647 },
  { timeoutMs: Infinity },
  { backoff: 5_000 },
  { backoff: [0, 1_000, CENTURY] },
  { backoff: () => 1_000 },
  { backoff: { type: 'exponential' } },
  { backoff: { type: 'fixed', delayMs: 7_200_000, maxDelayMs: 7_200_000, jitter: false } },
  { errors: [] },
  {
    errors: [
      { match: TypeError, reject: true },
      { match: 'ECONNRESET', snoozeMs: 0 },
      { match: () => true, backoff: [1, 2], maxAttempts: 20 },
      { match: 'x', backoff: () => 5 },
      { match: 'x', maxAttempts: 1, reject: undefined },
    ],
  },
  { deadLetter: 'dead' },
  { deadLetter: { name: 'dead', options: {} } },
  { deadLetter: false },
];

const WRONG_QUEUE_OPTIONS: [options: unknown, problem: string][] = [
  ...[0, -1, NaN, 1.5, Infinity, '5', 1e9, null].map((concurrency): [unknown, string] => [
    { concurrency },
    'concurrency: expected an integer from 1 to 10000, got ',
  ]),
  ...[0, -1, NaN, 1.5, Infinity, '5', 1e9].map((maxAttempts): [unknown, string] => [
    { maxAttempts },
    'maxAttempts: expected an integer from 1 to 1000000, got ',
  ]),
  ...[0, -1, NaN, 1.5, -Infinity, '5', 2 ** 31].map((timeoutMs): [unknown, string] => [
    { timeoutMs },
    'timeoutMs: expected an integer from 1 to 2147483647, or Infinity, got ',
  ]),
  [{ backoff: -1 }, 'backoff: expected an integer from 0'],
  [{ backoff: NaN }, 'backoff: expected an integer from 0'],
  [{ backoff: CENTURY + 1 }, 'backoff: expected an integer from 0'],
  [{ backoff: [] }, 'backoff: expected at least 1 element'],
  [{ backoff: [1, '5'] }, 'backoff[1]: expected an integer'],
  [{ backoff: 'exponential' }, 'backoff: expected milliseconds, an array of them, or { type,'],
  [{ backoff: {} }, "backoff.type: expected 'fixed' or 'linear' or 'exponential', got undefined"],
  [
    { backoff: { type: 'cubic' } },
    "backoff.type: expected 'fixed' or 'linear' or 'exponential', got \"cubic\"",
  ],
  [{ backoff: { type: 'fixed', delay: 5 } }, 'backoff.delay: unknown option, did you mean "delayMs"?'],
  [{ backoff: { type: 'fixed', jitter: 1 } }, 'backoff.jitter: expected true or false, got 1'],
  [
    { backoff: { type: 'fixed', delayMs: 7_200_000 } },
    'backoff.maxDelayMs: expected at least delayMs (7200000), got 3600000 (the default)',
  ],
  [{ timeout: 5 }, 'timeout: unknown option, did you mean "timeoutMs"?'],
  [{ errors: {} }, 'errors: expected an array, got an object'],
  [{ errors: [5] }, 'errors[0]: expected an object, got 5'],
  [
    { errors: [{ reject: true }] },
    "errors[0].match: expected an error class, an error's code or name, or a function, got undefined",
  ],
  [{ errors: [{ match: '', reject: true }] }, 'errors[0].match: expected an error class'],
  [{ errors: [{ match: 'E', reject: false }] }, 'errors[0].reject: expected true, got false'],
  [{ errors: [{ match: 'E', snoozeMs: -1 }] }, 'errors[0].snoozeMs: expected an integer from 0'],
  [{ errors: [{ match: 'E', maxAttempts: 0 }] }, 'errors[0].maxAttempts: expected an integer from 1'],
  [{ errors: [{ match: 'E', backoff: 'x' }] }, 'errors[0].backoff: expected milliseconds'],
  [
    { errors: [{ match: 'E' }] },
    'errors[0]: expected one of reject, snoozeMs, or backoff and maxAttempts, got none',
  ],
  [
    { errors: [{ match: 'E', reject: true, maxAttempts: 3 }] },
    'errors[0]: expected one of reject, snoozeMs, or backoff and maxAttempts, got reject and maxAttempts',
  ],
  [
    { errors: [{ match: 'E', snooseMs: 1, reject: true }] },
    'errors[0].snooseMs: unknown option, did you mean "snoozeMs"?',
  ],
  [{ deadLetter: '' }, 'deadLetter: expected a queue name, got '],
  [{ deadLetter: true }, 'deadLetter: expected a queue name or definition, got true'],
  [{ deadLetter: 'a\0' }, 'deadLetter: expected a queue name'],
];

describe('checkQueueOptions', () => {
  it.each(RIGHT_QUEUE_OPTIONS)('accepts %j', (options) => {
    expect(() => checkQueueOptions('the queue', options)).not.toThrow();
  });

  it.each(WRONG_QUEUE_OPTIONS)('refuses %j', (options, problem) => {
    expect(() => checkQueueOptions('the queue', options)).toThrow(
      `Invalid options for the queue:\n  - ${problem}`,
    );
  });

  it('accepts any Standard Schema, also one that is a function', () => {
    const schema = Object.assign(() => 1, { '~standard': z.string()['~standard'] });
    expect(() => checkQueueOptions('the queue', { schema: z.string() })).not.toThrow();
    expect(() => checkQueueOptions('the queue', { schema })).not.toThrow();
    expect(() => checkQueueOptions('the queue', { schema: { parse: () => 1 } })).toThrow(
      'schema: expected a Standard Schema',
    );
  });
});

describe('checkHandlerOptions', () => {
  it('accepts the options of a queue, and `transactional`', () => {
    expect(() => checkHandlerOptions('A.run', { concurrency: 3, transactional: true })).not.toThrow();
    expect(() => checkHandlerOptions('A.run', { transactional: 1 })).toThrow(
      'transactional: expected true or false, got 1',
    );
    expect(() => checkHandlerOptions('A.run', { transactionl: true })).toThrow(
      'did you mean "transactional"?',
    );
  });

  it('accepts the options that a layer above adds', () => {
    const extra = { traced: boolean };
    expect(() => checkHandlerOptions('A.run', { traced: true, concurrency: 1 }, extra)).not.toThrow();
    expect(() => checkHandlerOptions('A.run', { trace: true }, extra)).toThrow('did you mean "traced"?');
    expect(() => checkHandlerOptions('A.run', { traced: true })).toThrow(InvalidOptionsError);
  });
});

const RIGHT_JOB_OPTIONS: unknown[] = [
  undefined,
  {},
  { runAt: new Date(), priority: -32_768, maxAttempts: 1, timeoutMs: Infinity },
  { runAt: undefined, delayMs: 0, priority: 32_767 },
  { delayMs: CENTURY },
  { expiresAt: new Date('9999-12-31') },
  { backoff: [1, 2], tags: [], headers: {} },
  { tags: Array(20).fill('tag'), headers: { traceparent: '00-ab-cd-01', '': '' } },
  { tx: { query: () => Promise.resolve([]) } },
];

const WRONG_JOB_OPTIONS: [options: unknown, problem: string][] = [
  [null, 'options: expected an object, got null'],
  [{ runAt: new Date(), delayMs: 5 }, 'delayMs: excludes runAt, and both were given'],
  [{ runAt: new Date(NaN) }, 'runAt: expected a valid Date of the years 1 to 9999, got an invalid Date'],
  [{ runAt: new Date(8.64e15) }, 'runAt: expected a valid Date of the years 1 to 9999, got a Date'],
  [{ runAt: '2026-01-01' }, 'runAt: expected a valid Date of the years 1 to 9999, got "2026-01-01"'],
  [
    { expiresAt: new Date(NaN) },
    'expiresAt: expected a valid Date of the years 1 to 9999, got an invalid Date',
  ],
  [{ expiresAt: 5 }, 'expiresAt: expected a valid Date of the years 1 to 9999, got 5'],
  [{ delayMs: -1 }, 'delayMs: expected an integer from 0'],
  [{ delayMs: 1.5 }, 'delayMs: expected an integer from 0'],
  [{ delayMs: CENTURY + 1 }, 'delayMs: expected an integer from 0'],
  [{ priority: 32_768 }, 'priority: expected an integer from -32768 to 32767, got 32768'],
  [{ priority: 0.5 }, 'priority: expected an integer'],
  [{ backoff: () => 5 }, 'backoff: expected milliseconds, an array of them, or { type,'],
  [{ tags: 'tag' }, 'tags: expected an array, got "tag"'],
  [{ tags: Array(21).fill('tag') }, 'tags: expected at most 20 elements, got 21'],
  [{ tags: ['a\0'] }, 'tags[0]: expected text without NUL'],
  [{ tags: ['\ud83d'] }, 'tags[0]: expected text without NUL'],
  [{ tags: [5] }, 'tags[0]: expected text without NUL'],
  [{ headers: { a: 'secret\0' } }, 'headers["a"]: PostgreSQL cannot store the NUL character'],
  [{ headers: { 'a\0': '' } }, 'headers["a\\u0000"]: PostgreSQL cannot store the NUL character'],
  [{ headers: { a: '\ud83d' } }, 'headers["a"]: half of a surrogate pair'],
  [{ headers: { a: 5 } }, 'headers["a"]: expected a string'],
  [{ headers: JSON.parse('{"__proto__":"x"}') }, 'headers["__proto__"]: no header can have this name'],
  [{ headers: ['a'] }, 'headers: expected an object of strings, got an array of 1'],
  [{ tx: null }, 'tx: expected something with a query(text, values) method, got null'],
  [{ tx: {} }, 'tx: expected something with a query(text, values) method, got an object'],
  [{ delay: 5 }, 'delay: unknown option, did you mean "delayMs"?'],
];

describe('checkJobOptions', () => {
  it.each(RIGHT_JOB_OPTIONS)('accepts %j', (options) => {
    expect(() => checkJobOptions('mail', options as never)).not.toThrow();
  });

  it.each(WRONG_JOB_OPTIONS)('refuses %j', (options, problem) => {
    expect(() => checkJobOptions('mail', options as never)).toThrow(
      `Invalid options for enqueue("mail"):\n  - ${problem}`,
    );
  });

  it('lists every problem', () => {
    expect(() => checkJobOptions('mail', { priority: 0.5, delay: 5, tags: [1, 2] } as never)).toThrow(
      expect.objectContaining({
        code: 'TM_INVALID_OPTIONS',
        problems: expect.objectContaining({ length: 4 }) as never,
      }),
    );
  });

  it('never shows a header', () => {
    const check = () => checkJobOptions('mail', { headers: { authorization: 'secret\0', other: 'fine' } });
    expect(check).toThrow(InvalidOptionsError);
    expect(check).not.toThrow('secret');
  });
});

describe('checkNewJobOptions', () => {
  it('accepts a queue, any payload and the options of a job', () => {
    const job = { queue: 'mail', payload: () => 'checked elsewhere', delayMs: 5 };
    expect(() => checkNewJobOptions('mail', job)).not.toThrow();
  });

  it('refuses a transaction, which is given once for all jobs', () => {
    const job = { queue: 'mail', tx: { query: () => 1 } };
    expect(() => checkNewJobOptions('mail', job as never)).toThrow('tx: unknown option');
  });
});
