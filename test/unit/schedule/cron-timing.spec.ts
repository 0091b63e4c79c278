import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronProblem, CronTiming, isTimeZone } from '../../../lib/engine/schedule/cron-timing.js';

const BERLIN = 'Europe/Berlin';
const LORD_HOWE = 'Australia/Lord_Howe';

/** An instant in a time zone, with its offset, as `26-10-25 02:30 +1`. */
function local(instant: Date, timezone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    year: '2-digit',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'shortOffset',
  });
  return format.format(instant).replace('GMT', '').replace(' ', ' ');
}

/** The due times of an expression between two instants, as local times. */
function dueTimes(expression: string, timezone: string, from: string, until: string): string[] {
  return new CronTiming(expression, timezone)
    .between(new Date(from), new Date(until), 1_000)
    .map((due) => local(due, timezone));
}

/** The same, asked for one after the other. */
function steps(expression: string, timezone: string, from: string, until: string): Date[] {
  const timing = new CronTiming(expression, timezone);
  const found: Date[] = [];
  for (
    let due = timing.next(new Date(from));
    due !== undefined && due <= new Date(until);
    due = timing.next(due)
  )
    found.push(due);
  return found;
}

describe('a cron expression', () => {
  it('has 5 fields, or 6 with seconds first', () => {
    const next = (expression: string) =>
      new CronTiming(expression, 'UTC').next(new Date('2026-01-01T00:00:30.500Z'));
    expect(next('*/5 * * * *')).toEqual(new Date('2026-01-01T00:05:00Z'));
    expect(next('*/5 * * * * *')).toEqual(new Date('2026-01-01T00:00:35Z'));
    expect(next('@daily')).toEqual(new Date('2026-01-02T00:00:00Z'));
    expect(next('0 9 * * MON-FRI')).toEqual(new Date('2026-01-01T09:00:00Z'));
    expect(next('0 0 L * *')).toEqual(new Date('2026-01-31T00:00:00Z'));
    expect(next('0 0 29 2 *')).toEqual(new Date('2028-02-29T00:00:00Z'));
  });

  it('is evaluated in its time zone', () => {
    const due = new CronTiming('0 9 * * *', 'America/New_York').next(new Date('2026-01-01T00:00:00Z'));
    expect(due).toEqual(new Date('2026-01-01T14:00:00Z'));
  });

  it('is due after an instant, never at it', () => {
    const timing = new CronTiming('* * * * * *', 'UTC');
    expect(timing.next(new Date('2026-01-01T00:00:00.000Z'))).toEqual(new Date('2026-01-01T00:00:01Z'));
    expect(timing.next(new Date('2026-01-01T00:00:00.999Z'))).toEqual(new Date('2026-01-01T00:00:01Z'));
  });

  it('lists the latest due times after one instant up to and with another', () => {
    const timing = new CronTiming('* * * * *', 'UTC');
    const list = (from: string, until: string, limit = 10) =>
      timing
        .between(new Date(`2026-01-01T${from}Z`), new Date(`2026-01-01T${until}Z`), limit)
        .map((due) => due.toISOString().slice(11, 19));
    expect(list('10:00:00', '10:02:00')).toEqual(['10:01:00', '10:02:00']);
    expect(list('10:00:00', '10:01:59.999')).toEqual(['10:01:00']);
    expect(list('09:59:59.999', '10:00:00.001')).toEqual(['10:00:00']);
    expect(list('00:00:00', '10:00:00', 2)).toEqual(['09:59:00', '10:00:00']);
  });

  it.each([
    ['* * * *', 'UTC', /five, six/],
    ['* * * * * * *', 'UTC', /5 or 6 parts/],
    ['61 * * * *', 'UTC', /minute: 61/],
    ['0 25 * * *', 'UTC', /hour/],
    ['every day', 'UTC', /space separated|parts/],
    ['', 'UTC', /space separated/],
    ['5/15 * * * *', 'UTC', /stepping/],
    ['0 0 30 2 *', 'UTC', /never due/],
    ['2026-01-01T00:00:00', 'UTC', /date/],
    ['@reboot', 'UTC', /reboot/],
    ['* * * * *', 'Mars/Olympus', /./],
  ])('is refused when it is %j in %s', (expression, timezone, reason) => {
    expect(cronProblem(expression, timezone)).toMatch(reason);
  });

  it('is accepted otherwise', () => {
    expect(cronProblem('0 2 * * *', BERLIN)).toBeUndefined();
  });
});

describe('isTimeZone', () => {
  it.each(['UTC', BERLIN, LORD_HOWE, 'Antarctica/Troll'])('knows %s', (name) => {
    expect(isTimeZone(name)).toBe(true);
  });

  it.each(['Mars/Olympus', '', 7, undefined])('does not know %j', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });
});

describe('when clocks are set forward, in Berlin from 02:00 to 03:00', () => {
  const march29 = (expression: string) =>
    dueTimes(expression, BERLIN, '2026-03-28T22:59:59Z', '2026-03-29T03:00:00Z');

  it('a time that does not exist is due at the first instant after the gap', () => {
    expect(march29('30 2 * * *')).toEqual(['26-03-29 03:00 +2']);
    expect(march29('15 30 2 * * *')).toEqual(['26-03-29 03:00 +2']);
  });

  it('several times that do not exist are due once', () => {
    expect(march29('0,30 2 * * *')).toEqual(['26-03-29 03:00 +2']);
    expect(march29('*/15 2 * * *')).toEqual(['26-03-29 03:00 +2']);
    expect(march29('* * 2 * * *')).toEqual(['26-03-29 03:00 +2']);
  });

  it('a time that does not exist and one that does are due once when they meet', () => {
    expect(march29('0 2,3 * * *')).toEqual(['26-03-29 03:00 +2']);
    expect(march29('30 2,3 * * *')).toEqual(['26-03-29 03:00 +2', '26-03-29 03:30 +2']);
    expect(march29('0 */2 * * *')).toEqual(['26-03-29 00:00 +1', '26-03-29 03:00 +2', '26-03-29 04:00 +2']);
  });

  it('what is due in every hour leaves the hour out', () => {
    expect(march29('15 * * * *')).toEqual(
      ['00:15 +1', '01:15 +1', '03:15 +2', '04:15 +2'].map((time) => `26-03-29 ${time}`),
    );
    expect(march29('15 0-23 * * *')).toEqual(march29('15 * * * *'));
  });

  it('other days are as always', () => {
    expect(dueTimes('30 2 * * *', BERLIN, '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z')).toEqual([
      '26-03-28 02:30 +1',
      '26-03-29 03:00 +2',
      '26-03-30 02:30 +2',
    ]);
  });
});

describe('when clocks are set back, in Berlin from 03:00 to 02:00', () => {
  const october25 = (expression: string) =>
    dueTimes(expression, BERLIN, '2026-10-24T21:59:59Z', '2026-10-25T03:00:00Z');

  it('a time that comes twice is due the first time', () => {
    expect(october25('30 2 * * *')).toEqual(['26-10-25 02:30 +2']);
    expect(october25('0,30 2,3 * * *')).toEqual(
      ['02:00 +2', '02:30 +2', '03:00 +1', '03:30 +1'].map((time) => `26-10-25 ${time}`),
    );
  });

  it('wildcards and steps in minutes of a given hour are due the first time', () => {
    expect(october25('*/30 2 * * *')).toEqual(['26-10-25 02:00 +2', '26-10-25 02:30 +2']);
    expect(october25('* 2 * * *')).toHaveLength(60);
  });

  it('what is due in every hour runs through the hour twice', () => {
    expect(october25('15 * * * *')).toEqual(
      ['00:15 +2', '01:15 +2', '02:15 +2', '02:15 +1', '03:15 +1'].map((time) => `26-10-25 ${time}`),
    );
    expect(october25('*/30 * * * *')).toHaveLength(11);
  });
});

describe('on Lord Howe Island, where clocks are set by half an hour', () => {
  const october4 = (expression: string) =>
    dueTimes(expression, LORD_HOWE, '2026-10-03T14:29:59Z', '2026-10-03T17:00:00Z');
  const april5 = (expression: string) =>
    dueTimes(expression, LORD_HOWE, '2026-04-04T13:59:59Z', '2026-04-04T16:30:00Z');

  it('a time that does not exist is due at the first instant after the gap, 02:30', () => {
    expect(october4('15 2 * * *')).toEqual(['26-10-04 02:30 +11']);
    expect(october4('*/10 2 * * *')).toEqual(
      ['02:30', '02:40', '02:50'].map((time) => `26-10-04 ${time} +11`),
    );
  });

  it('what is due in every hour leaves the half hour out', () => {
    expect(october4('15 * * * *')).toEqual(['26-10-04 01:15 +10:30', '26-10-04 03:15 +11']);
  });

  it('a time that comes twice, from 01:30 to 02:00, is due the first time', () => {
    expect(april5('45 1 * * *')).toEqual(['26-04-05 01:45 +11']);
    expect(april5('*/15 1 * * *')).toEqual(
      ['01:00', '01:15', '01:30', '01:45'].map((time) => `26-04-05 ${time} +11`),
    );
  });

  it('what is due in every hour runs through the half hour twice', () => {
    expect(april5('45 * * * *')).toEqual([
      '26-04-05 01:45 +11',
      '26-04-05 01:45 +10:30',
      '26-04-05 02:45 +10:30',
    ]);
  });
});

/** Fields that make sense, and zones with gaps of half an hour, one and two hours, at midnight too. */
const minutes = fc.constantFrom('*', '*/15', '0', '30', '5,35', '10-20/5', '59');
const hours = fc.constantFrom('*', '0', '1', '2', '*/2', '1-3', '0-23', '23');
const zones = fc.constantFrom(
  BERLIN,
  LORD_HOWE,
  'Antarctica/Troll',
  'America/Santiago',
  'America/Havana',
  'UTC',
);
const starts = fc.integer({ min: Date.UTC(2026, 0, 1) / 60_000, max: Date.UTC(2027, 0, 1) / 60_000 });

describe('any expression in any time zone', () => {
  it('is due at the same instants, whether asked for one after the other or backwards', () => {
    fc.assert(
      fc.property(minutes, hours, zones, starts, (minute, hour, timezone, start) => {
        const from = new Date(start * 60_000);
        const until = new Date(from.getTime() + 2 * 86_400_000);
        const timing = new CronTiming(`${minute} ${hour} * * *`, timezone);
        const forwards = steps(`${minute} ${hour} * * *`, timezone, from.toISOString(), until.toISOString());
        expect(timing.between(from, until, 10_000)).toEqual(forwards);
      }),
      { numRuns: 40 },
    );
  });

  it('with given hours is due once for each time of each day, if not exactly then, at the end of the gap', () => {
    fc.assert(
      fc.property(
        zones,
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 59 }),
        (timezone, hour, minute) => {
          const dues = steps(
            `${minute} ${hour} * * *`,
            timezone,
            '2026-01-01T12:00:00Z',
            '2027-01-01T12:00:00Z',
          );
          const days = dues.map((due) => local(due, timezone).slice(0, 8));
          expect(new Set(days).size).toBe(days.length);
          expect(days.length).toBeGreaterThanOrEqual(364);
          expect(days.length).toBeLessThanOrEqual(366);
        },
      ),
      { numRuns: 10 },
    );
  });
});
