import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';

const setup = async () => {
  const database = await testDatabase();
  const { admin } = await openEngine(database);
  const jobs = new JobTable(database);
  const fail = (queue: string, message: string, failedAt = new Date().toISOString(), name = 'Error') =>
    jobs.insert(queue, {
      run_at: 'infinity',
      failed_at: failedAt,
      run_count: 1,
      last_error: JSON.stringify({
        name,
        message,
        stack: `${name}: ${message}\n    at send (/app/mail.js:10:3)`,
      }),
    });
  return { admin, fail, database, jobs };
};

describe('failures.list', () => {
  it('puts failures of one kind together, the largest group first', async () => {
    const { admin, fail } = await setup();
    await fail('mail', 'Cannot find user 1', '2026-01-01T00:00:00Z');
    await fail('sms', 'Cannot find user 22', '2026-01-03T00:00:00Z');
    const last = await fail('mail', 'Cannot find user 333', '2026-01-02T00:00:00Z');
    await fail('mail', 'x', undefined, 'TypeError');
    const [first, second, ...others] = await admin.failures.list();
    expect(first).toMatchObject({
      name: 'Error',
      pattern: 'Cannot find user #',
      message: 'Cannot find user 333',
      frame: 'send (/app/mail.js)',
      count: 3,
      queues: ['mail', 'sms'],
      firstAt: new Date('2026-01-01'),
      lastAt: new Date('2026-01-03'),
      lastJobId: last,
    });
    expect(second).toMatchObject({ name: 'TypeError', count: 1 });
    expect(second?.hours).toEqual([...Array.from({ length: 23 }, () => 0), 1]);
    expect(others).toEqual([]);
  });

  it('is of a queue and of a time, if so wanted', async () => {
    const { admin, fail } = await setup();
    await fail('mail', 'a', '2026-01-01');
    await fail('sms', 'a', '2026-01-02');
    const counts = async (filter: object) => (await admin.failures.list(filter)).map((group) => group.count);
    expect(await counts({ queue: 'sms' })).toEqual([1]);
    expect(await counts({ since: new Date('2026-01-01T12:00:00Z') })).toEqual([1]);
    expect(await counts({ queue: 'none' })).toEqual([]);
  });

  it('names a group by what selects its jobs', async () => {
    const { admin, fail, jobs } = await setup();
    await fail('mail', 'user 1');
    await fail('mail', 'user 2');
    const other = await fail('mail', 'other');
    const [group] = await admin.failures.list();
    expect(await admin.jobs.retry({ fingerprint: group!.fingerprint })).toMatchObject({ count: 2 });
    expect((await jobs.all()).filter((job) => job.state === 'failed').map((job) => job.id)).toEqual([other]);
  });
});
