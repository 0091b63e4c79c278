import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobError } from '../../lib/engine/events.js';
import { JOB_ERROR_LIMITS, toJobError } from '../../lib/engine/job/job-error.js';

/** Any text, also such as cannot be stored, and such as must be cut. */
const text = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 0xffff })), fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1_000))
  .map(([units, times]) => String.fromCharCode(...units).repeat(times));

const error = fc
  .record({
    message: text,
    name: text,
    stack: text,
    code: fc.oneof(text, fc.integer(), fc.anything()),
    cause: fc.anything(),
  })
  .map((fields) => Object.assign(new Error(), fields));

const chain = fc
  .array(error, { minLength: 1, maxLength: 8 })
  .map((errors) => errors.reduce((cause, outer) => Object.assign(outer, { cause })));

const thrown = fc.oneof(fc.anything(), text, error, chain, fc.object());

describe('toJobError', () => {
  it('takes anything, and answers what jsonb stores, within the limits', () => {
    fc.assert(
      fc.property(thrown, (value) => {
        expect(storageProblems(toJobError(value))).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes objects that refuse everything', () => {
    const traps = ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor'] as const;
    fc.assert(
      fc.property(fc.subarray([...traps]), (refused) => {
        const handler = Object.fromEntries(refused.map((trap) => [trap, refuse]));
        expect(storageProblems(toJobError(new Proxy(new Error('x'), handler)))).toEqual([]);
      }),
    );
  });
});

function refuse(): never {
  throw new Error('refused');
}

/** What would keep an error from being stored, or make it larger than promised. */
function storageProblems(stored: JobError, causes: number = JOB_ERROR_LIMITS.causes): string[] {
  const { name, message, code = '', stack = '', cause, ...others } = stored;
  const texts = Object.entries({ name, message, code, stack });
  return [
    ...Object.keys(others),
    ...texts
      .filter(([, text]) => /[\0\p{Surrogate}]/u.test(text))
      .map(([kind]) => `${kind} cannot be stored`),
    ...texts
      .filter(([kind, text]) => Buffer.byteLength(text) > limitOf(kind))
      .map(([kind]) => `${kind} is too long`),
    ...(causes < 0 ? ['too many causes'] : []),
    ...(cause === undefined ? [] : storageProblems(cause, causes - 1)),
  ];
}

function limitOf(kind: string): number {
  return JOB_ERROR_LIMITS[kind as 'name' | 'message' | 'code' | 'stack'];
}
