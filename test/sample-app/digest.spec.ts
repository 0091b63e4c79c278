import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { TestDatabase } from '../support/test-database.js';
import { sampleDatabase, setup, startSampleApp } from './sample-app.js';

const schedules = (db: TestDatabase) =>
  db.query<{ name: string; queue: string; nextRunAt: Date }>(
    `select name, queue_name as queue, next_run_at as "nextRunAt" from taskmaster.schedules where isfinite(next_run_at)`,
  );
const digests = (db: TestDatabase) =>
  db.query<{ night: string }>(`select night::text from newsletter.digests order by night`);

/** As if the schedule had been due at that moment, and nobody had been there. */
const dueSince = (db: TestDatabase, moment: string) =>
  db.query(`update taskmaster.schedules set next_run_at = $1`, [moment]);

describe('the nightly digest', () => {
  it('is scheduled once, by however many processes that start together', async () => {
    const db = await sampleDatabase();
    const apps = await Promise.all([1, 2].map(() => startSampleApp({ env: { DATABASE_URL: db.url } })));
    await Promise.all(apps.map((app) => app.url()));

    const [schedule, ...others] = await eventually(async () => {
      const found = await schedules(db);
      expect(found).not.toEqual([]);
      return found;
    });

    expect(others).toEqual([]);
    expect(schedule).toMatchObject({ name: 'nightly-digest', queue: 'write_digest' });
    const berlin = new Intl.DateTimeFormat('de', { timeStyle: 'short', timeZone: 'Europe/Berlin' });
    expect(berlin.format(schedule!.nextRunAt)).toBe('02:00');
    expect(schedule!.nextRunAt > new Date()).toBe(true);
  });

  it('counts the new subscribers and is mailed, also when it is fired by hand', async () => {
    const { app, db } = await setup();
    await app.line(/^First round: /);

    await db.query(`select taskmaster.trigger_schedule('nightly-digest')`);

    const [{ night } = { night: '' }] = await eventually(async () => {
      const found = await digests(db);
      expect(found).toHaveLength(1);
      return found;
    });
    const mail = await app.mailTo('editor@example.com');
    expect(mail).toContain(`Subject: The night of ${night}\r\n`);
    expect(mail).toContain('New subscribers: 4.');
  });

  it('is written for the night it was due, however late', async () => {
    const { app, db } = await setup();
    await app.line(/^First round: /);

    await dueSince(db, new Date(Date.now() - 1_000).toISOString());

    const [{ night } = { night: '' }] = await eventually(async () => {
      const found = await digests(db);
      expect(found).toHaveLength(1);
      return found;
    });
    expect(await app.mailTo('editor@example.com')).toContain(`Subject: The night of ${night}\r\n`);
    expect((await schedules(db))[0]!.nextRunAt > new Date()).toBe(true);
  });

  it('is written once for a night, even when it is asked for twice', async () => {
    const { app, db } = await setup();
    await app.url();

    await db.query(
      `insert into taskmaster.jobs (queue_name, payload)
       select 'write_digest', '{"night": "2026-01-01"}' from generate_series(1, 2)`,
    );

    await eventually(
      () => app.linesWith('ack').filter((line) => line.includes('queue=write_digest')).length === 2,
    );
    await app.mailTo('editor@example.com');
    await eventually(
      async () =>
        (await db.query(`select from taskmaster.jobs where queue_name = 'send_email' and failed_at is null`))
          .length === 0,
    );
    expect(await app.mailsTo('editor@example.com')).toHaveLength(1);
    expect(await digests(db)).toEqual([{ night: '2026-01-01' }]);
  });
});
