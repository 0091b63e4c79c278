import { describe, expect, it } from 'vitest';
import { firingOf, MOST_MISSED, type ScheduleFacts } from '../../../lib/engine/schedule/firing.js';

const at = (time: string) => `2026-06-01T${time}Z`;

/** Due every minute, planned for 10:00. */
const facts = (changes: Partial<ScheduleFacts> = {}): ScheduleFacts => ({
  name: 'digest',
  revision: '7',
  cron: '* * * * *',
  everyMs: null,
  timezone: 'UTC',
  anchorAt: at('00:00:00'),
  missed: 'once',
  nextRunAt: at('10:00:00'),
  lastDueAt: at('09:59:00'),
  now: at('10:00:00.004'),
  ...changes,
});

const firing = (changes: Partial<ScheduleFacts>) => {
  const { dueTimes, next } = firingOf(facts(changes));
  const time = (date: Date) => date.toISOString().slice(11, 19);
  return { due: dueTimes.map(time), next: next && time(next) };
};

describe('firingOf', () => {
  it('fires what is due, whatever becomes of missed ones', () => {
    for (const missed of ['skip', 'once', 'all'] as const)
      expect(firing({ missed })).toEqual({ due: ['10:00:00'], next: '10:01:00' });
  });

  it('fires nothing before it is due', () => {
    expect(firing({ now: at('09:59:59.999') })).toEqual({ due: [], next: '10:00:00' });
  });

  it('plans what is to be planned from now on, and fires nothing', () => {
    expect(firing({ nextRunAt: null, now: at('12:30:30') })).toEqual({ due: [], next: '12:31:00' });
  });

  it('never plans a due time that is dealt with, whatever the clock says', () => {
    expect(firing({ nextRunAt: null, lastDueAt: at('10:00:00'), now: at('08:00:00') })).toEqual({
      due: [],
      next: '10:01:00',
    });
  });

  describe('after a downtime', () => {
    const now = at('10:03:30');

    it('fires none that was missed with `skip`', () => {
      expect(firing({ missed: 'skip', now })).toEqual({ due: [], next: '10:04:00' });
    });

    it('fires the one that is just late with `skip`', () => {
      expect(firing({ missed: 'skip', now: at('10:03:10') })).toEqual({
        due: ['10:03:00'],
        next: '10:04:00',
      });
      expect(firing({ missed: 'skip', now: at('10:03:10.001') })).toEqual({ due: [], next: '10:04:00' });
    });

    it('fires the latest for all of them with `once`', () => {
      expect(firing({ missed: 'once', now })).toEqual({ due: ['10:03:00'], next: '10:04:00' });
    });

    it('fires each with `all`', () => {
      expect(firing({ missed: 'all', now })).toEqual({
        due: ['10:00:00', '10:01:00', '10:02:00', '10:03:00'],
        next: '10:04:00',
      });
    });

    it('fires the latest 1,000 with `all` when there are more', () => {
      const { dueTimes } = firingOf(facts({ missed: 'all', cron: '* * * * * *', now: at('23:00:00') }));
      expect(dueTimes).toHaveLength(MOST_MISSED);
      expect(dueTimes.at(-1)).toEqual(new Date(at('23:00:00')));
      expect(dueTimes[0]).toEqual(new Date(at('22:43:21')));
    });
  });

  it('fires a due time that has passed though the timing was changed since', () => {
    const changed = { cron: '0 18 * * *', now: at('10:00:30') };
    for (const missed of ['once', 'all'] as const)
      expect(firing({ ...changed, missed })).toEqual({ due: ['10:00:00'], next: '18:00:00' });
  });

  it('is never due again when the timing ends', () => {
    expect(firing({ cron: '0 0 30 2 *' })).toEqual({ due: ['10:00:00'], next: undefined });
  });

  it('tells why it cannot plan', () => {
    expect(firingOf(facts({ cron: 'nightly' }))).toMatchObject({
      name: 'digest',
      revision: '7',
      dueTimes: [],
      next: undefined,
      problem: expect.stringContaining('nightly'),
    });
    expect(firingOf(facts({ timezone: 'Mars/Olympus' })).problem).toBeDefined();
  });
});

describe('an interval', () => {
  const every = { cron: null, everyMs: 90_000, anchorAt: at('00:00:00'), lastDueAt: null };

  it('is due that long after its anchor, and every so often from there', () => {
    expect(firing({ ...every, nextRunAt: null, now: at('00:00:00') }).next).toBe('00:01:30');
    expect(firing({ ...every, nextRunAt: null, now: at('00:01:29.999') }).next).toBe('00:01:30');
    expect(firing({ ...every, nextRunAt: null, now: at('00:01:30') }).next).toBe('00:03:00');
  });

  it('does not drift by what a firing is late', () => {
    expect(firing({ ...every, nextRunAt: at('00:03:00'), now: at('00:03:25') }).next).toBe('00:04:30');
  });

  it('lists what was missed', () => {
    const missed = { ...every, missed: 'all', nextRunAt: at('00:03:00'), now: at('00:07:31') } as const;
    expect(firing(missed)).toEqual({
      due: ['00:03:00', '00:04:30', '00:06:00', '00:07:30'],
      next: '00:09:00',
    });
    const days = { ...missed, now: '2026-06-20T00:00:00Z' };
    expect(firingOf(facts(days)).dueTimes).toHaveLength(MOST_MISSED);
  });
});
