import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { ScheduleTable } from './support/schedule-table.js';
import { linesOf, workerChild } from './support/worker-child.js';

/** Bounds for what hangs: processes take their time to start on a busy machine. */
const START_MS = 60_000;
const TEST_MS = 180_000;

/** Processes that fire a schedule of every second whose jobs nobody takes, so that all of them stay to be counted. */
const setup = async (count: number) => {
  const database = await testDatabase();
  const table = new ScheduleTable(database);
  const { admin } = await openEngine(database);
  await admin.schedules.upsert({ name: 'tick', queue: 'nobody', everyMs: 1_000, missed: 'all' });
  const start = () => workerChild(database, { queue: 'other' });
  const children = Array.from({ length: count }, start);
  await Promise.all(children.map((child) => child.line(/^ready/, { timeoutMs: START_MS })));
  const fired = (number: number) =>
    eventually(async () => (await table.jobs()).length >= number, { timeoutMs: START_MS });
  /** Each second from the first to the last, once. */
  const expectEverySecond = async () => {
    const times = (await table.jobs()).map(({ scheduledFor }) => scheduledFor.getTime());
    expect(times).toEqual(times.map((_, index) => times[0]! + index * 1_000));
  };
  return { children, database, expectEverySecond, fired, start, table };
};

describe('a schedule of processes that are killed, frozen and cut off', () => {
  it(
    'fires each due time once',
    async () => {
      const { children, database, expectEverySecond, fired, start } = await setup(3);
      await fired(1);
      children[0]!.kill('SIGKILL');
      children[1]!.kill('SIGSTOP');
      await fired(3);
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      );
      await fired(5);
      children[1]!.kill('SIGCONT');
      children[2]!.kill('SIGKILL');
      const other = start();
      await other.line(/^event scheduleFired/, { timeoutMs: START_MS });
      await fired(8);
      await expectEverySecond();
    },
    TEST_MS,
  );

  it(
    'fires what was due while no process ran, when one does',
    async () => {
      const { children, expectEverySecond, fired, start, table } = await setup(1);
      await fired(1);
      children[0]!.kill('SIGKILL');
      const before = (await table.jobs()).length;
      await new Promise((resolve) => setTimeout(resolve, 2_500)); // two due times pass, and nobody is there to give a signal
      expect((await table.jobs()).length).toBe(before);
      await start().line(/^event scheduleFired/, { timeoutMs: START_MS });
      await fired(before + 3);
      await expectEverySecond();
    },
    TEST_MS,
  );
});

describe('a process that shuts down', () => {
  it(
    'fires until then, and ends without an error',
    async () => {
      const { children, fired, expectEverySecond } = await setup(1);
      await fired(2);
      const [child] = children;
      child!.kill('SIGTERM');
      await child!.line(/^closed/);
      expect(await child!.exit()).toEqual({ code: 0, signal: null });
      expect(linesOf(child!, 'event engineError')).toEqual([]);
      await expectEverySecond();
    },
    TEST_MS,
  );
});
