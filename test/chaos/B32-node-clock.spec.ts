import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { linesOf, workerChild } from '../integration/support/worker-child.js';
import { otherClock } from './support/other-clock.js';
import { FAKETIME, missing } from './support/when.js';

const skipped = missing('B32 and A21', { libfaketime: FAKETIME !== undefined });
const LEASE = { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'thread' } as const;

describe.skipIf(skipped)('B32: a clock of a process that is wrong', () => {
  it.each([2, -2])(
    'by %i hours changes nothing: jobs begin when the database says',
    { timeout: 120_000 },
    async (hours) => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const clock = await otherClock();
      await clock.set(hours);
      const child = workerChild(database, { queue: 'mail' }, { lease: LEASE }, { env: clock.env });
      await child.line(/^ready/, { timeoutMs: 60_000 });
      const inAnHour = await jobs.insert('mail', { run_at: new Date(Date.now() + 3_600_000) });
      const held = await jobs.insert('mail', { payload: '{"hold": true}' });
      const soon = await jobs.insert('mail', { run_at: new Date(Date.now() + 1_000) });
      await child.line(new RegExp(`^event completed ${soon}`));
      await child.line(new RegExp(`^started ${held}`));
      child.kill('SIGUSR2');
      await child.line(new RegExp(`^event completed ${held}`));
      expect(await jobs.of(inAnHour)).toMatchObject({ state: 'scheduled' });
      expect(linesOf(child, 'event workerLost')).toEqual([]);
    },
  );
});

describe.skipIf(skipped)('A21: a machine that is suspended and wakes an hour later', () => {
  it('has lost its jobs to others, and begins no job before its time', { timeout: 120_000 }, async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const clock = await otherClock();
    const child = workerChild(database, { queue: 'mail' }, { lease: LEASE }, { env: clock.env });
    await child.line(/^ready/, { timeoutMs: 60_000 });
    const id = await jobs.insert('mail', { payload: '{"hold": true}' });
    await child.line(new RegExp(`^started ${id}`));
    const later = await jobs.insert('mail', { run_at: new Date(Date.now() + 1_800_000) });
    const other = workerChild(database, { queue: 'mail' }, { lease: LEASE });
    await other.line(/^ready/, { timeoutMs: 60_000 });
    child.kill('SIGSTOP');
    await other.line(new RegExp(`^started ${id} 2`), { timeoutMs: 30_000 });
    await clock.set(1);
    child.kill('SIGCONT');
    await child.line(new RegExp(`^aborted ${id} TM_LEASE_LOST`), { timeoutMs: 30_000 });
    child.kill('SIGUSR2');
    await child.line(new RegExp(`^event leaseLost ${id}`));
    other.kill('SIGUSR2');
    await other.line(new RegExp(`^event completed ${id}`));
    await eventually(async () => (await jobs.all()).length === 1);
    expect(await jobs.of(later)).toMatchObject({ state: 'scheduled' });
  });
});
