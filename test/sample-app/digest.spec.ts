import { describe, expect, it } from 'vitest';
import { dueAt, nightAfter } from '../../sample-app/src/digest/night.js';
import { eventually } from '../support/eventually.js';
import type { TestDatabase } from '../support/test-database.js';
import { sampleDatabase, setup, startSampleApp } from './sample-app.js';

describe('nightAfter', () => {
  it.each([
    ['2026-11-24T01:59:59.999Z', '2026-11-24'],
    ['2026-11-24T02:00:00.000Z', '2026-11-25'],
    ['2026-11-24T23:30:00.000Z', '2026-11-25'],
    ['2026-12-31T12:00:00.000Z', '2027-01-01'],
    ['2028-02-28T12:00:00.000Z', '2028-02-29'],
  ])('after %s comes the night of %s', (moment, night) => {
    expect(nightAfter(new Date(moment))).toBe(night);
    expect(dueAt(night) > new Date(moment)).toBe(true);
  });
});

const pendingDigests = (db: TestDatabase) =>
  db.query<{ night: string; dueAt: Date }>(
    `select payload ->> 'night' as night, run_at as "dueAt" from taskmaster.job_states
      where queue_name = 'write_digest' and state <> 'failed'`,
  );

describe('the nightly digest', () => {
  it('is scheduled once, by however many processes that start together', async () => {
    const db = await sampleDatabase();
    const apps = await Promise.all([1, 2].map(() => startSampleApp({ env: { DATABASE_URL: db.url } })));
    await Promise.all(apps.map((app) => app.url()));

    const digests = await pendingDigests(db);

    expect(digests).toHaveLength(1);
    expect(digests[0]!.dueAt).toEqual(dueAt(digests[0]!.night));
    expect(digests[0]!.dueAt > new Date()).toBe(true);
  });

  it('counts the new subscribers, is mailed, and schedules the next one', async () => {
    const { app, db } = await setup();
    await app.line(/^First round: /);
    await db.query(`delete from taskmaster.jobs where queue_name = 'write_digest'`);

    await db.query(
      `insert into taskmaster.jobs (queue_name, payload) values ('write_digest', '{"night": "2026-01-01"}')`,
    );

    const mail = await app.mailTo('editor@example.com');
    expect(mail).toContain('Subject: The night of 2026-01-01\r\n');
    expect(mail).toContain('New subscribers: 4.');
    const digests = await pendingDigests(db);
    expect(digests).toHaveLength(1);
    expect(digests[0]!.dueAt > new Date()).toBe(true);
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
    expect(await pendingDigests(db)).toHaveLength(1);
  });

  it('is scheduled again when it has failed for good', async () => {
    const { app, db } = await setup();
    await app.url();
    await db.query(`delete from taskmaster.jobs where queue_name = 'write_digest'`);

    await db.query(
      `insert into taskmaster.jobs (queue_name, payload, max_attempts) values ('write_digest', '{"night": "never"}', 1)`,
    );

    const [next] = await eventually(async () => {
      const digests = await pendingDigests(db);
      expect(digests).toEqual([{ night: expect.not.stringContaining('never'), dueAt: expect.any(Date) }]);
      return digests;
    });
    expect(next!.dueAt > new Date()).toBe(true);
  });
});
