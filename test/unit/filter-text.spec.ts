import { describe, expect, it } from 'vitest';
import { InvalidFilterError, type ListFilter, parseFilter } from '../../lib/engine/index.js';
import { thrownBy } from '../support/thrown-by.js';

const NOW = new Date('2026-11-28T12:00:00Z');

const UNDERSTOOD: [string, ListFilter][] = [
  ['', {}],
  ['   ', {}],
  ['queue:emails', { queue: ['emails'] }],
  ['queue:emails,reports  queue:mail', { queue: ['emails', 'reports', 'mail'] }],
  ['queue:"a, b: \\"c\\""', { queue: ['a, b: "c"'] }],
  ['queue:urn:x:y', { queue: ['urn:x:y'] }],
  ['state:failed', { state: ['failed'] }],
  ['STATE:Failed,ready', { state: ['failed', 'ready'] }],
  ['id:1,2 id:3', { ids: ['1', '2', '3'] }],
  ['tag:vip tag:eu', { tags: ['vip', 'eu'] }],
  ['error:ECONNRESET', { errorText: 'ECONNRESET' }],
  ['error:"connection reset"', { errorText: 'connection reset' }],
  ['errorName:TypeError errorcode:E_BUSY', { errorName: 'TypeError', errorCode: 'E_BUSY' }],
  ['fingerprint:00ff', { fingerprint: '00ff' }],
  ['key:k group:g', { uniqueKey: 'k', group: 'g' }],
  ['attempts:2', { runCountFrom: 2, runCountTo: 2 }],
  ['attempts:>2', { runCountFrom: 3 }],
  ['attempts:>=2 attempts:<5', { runCountFrom: 2, runCountTo: 4 }],
  ['attempts:<0', { runCountTo: 0 }],
  ['created:>2026-11-01', { createdAfter: new Date('2026-11-01') }],
  ['created:<2h', { createdBefore: new Date('2026-11-28T10:00:00Z') }],
  [
    'failed:>=30m failed:<=2026-11-28T11:59Z',
    { failedAfter: new Date('2026-11-28T11:30:00Z'), failedBefore: new Date('2026-11-28T11:59:00Z') },
  ],
  ['payload.user.id:42', { payload: [{ path: ['user', 'id'], equals: '42' }] }],
  [
    'payload.a:"" payload.b.0:x',
    {
      payload: [
        { path: ['a'], equals: '' },
        { path: ['b', '0'], equals: 'x' },
      ],
    },
  ],
];

/** The filter, where the problem begins, how long it is, and what is said of it. */
const REFUSED: [string, number, number, RegExp][] = [
  ['emails', 0, 6, /as in queue:emails/],
  ['state:failed 42', 13, 2, /as in id:42/],
  ['state:faild', 0, 11, /unknown state "faild", did you mean "failed"\?/],
  ['qeue:mail', 0, 9, /unknown qualifier "qeue", did you mean "queue"\?/],
  ['queue:mail weather:fine', 11, 12, /unknown qualifier "weather", known are queue, state/],
  ['queue:', 0, 6, /queue: expects a value/],
  ['queue: mail', 0, 6, /queue: expects a value/],
  ['queue:a,,b', 0, 10, /missing beside a comma/],
  ['error:"open', 6, 5, /the quote is not closed/],
  ['error:"a"b', 9, 1, /a blank is missing/],
  ['error:a error:b', 8, 7, /error is given twice/],
  ['id:abc', 0, 6, /expected the id of a job, got "abc"/],
  ['attempts:many', 0, 13, /expected a number/],
  ['queue:>a', 0, 8, /queue has no order/],
  ['created:2026-11-01', 0, 18, /write created:>2026-11-01 for later/],
  ['created:>soon', 0, 13, /expected a date as 2026-11-01, or an age/],
  ['created:>2026-99-99', 0, 19, /expected a date/],
  ['payload:42', 0, 10, /name a field of it/],
  ['payload.a..b:1', 0, 14, /between two dots/],
  [':mail', 0, 5, /expected a qualifier and a value/],
  ['__proto__:x', 0, 11, /unknown qualifier/],
];

describe('parseFilter', () => {
  it.each(UNDERSTOOD)('reads %j', (text, filter) => {
    expect(parseFilter(text, { now: NOW })).toEqual(filter);
  });

  it.each(REFUSED)('refuses %j and points at the place', (text, position, length, reason) => {
    const error = thrownBy(() => parseFilter(text, { now: NOW }));
    expect(error).toBeInstanceOf(InvalidFilterError);
    expect(error).toMatchObject({ code: 'TM_INVALID_FILTER', text, position, length });
    expect((error as Error).message).toMatch(reason);
  });

  it('marks the place for terminals', () => {
    const error = thrownBy(() => parseFilter('state:failed qeue:mail')) as InvalidFilterError;
    expect(error.marked).toBe('state:failed qeue:mail\n             ^^^^^^^^^');
  });

  it('refuses what is too long', () => {
    expect(() => parseFilter('x'.repeat(5_000))).toThrow(/longer than 4000/);
  });
});
