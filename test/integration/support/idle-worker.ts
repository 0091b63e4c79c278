import type { Job, Taskmaster, TaskmasterOptions } from '../../../lib/engine/index.js';
import { tablesOf } from '../../../lib/engine/sql/tables.js';
import { engine } from '../../support/engine.js';
import { eventually } from '../../support/eventually.js';
import { SignalPoint } from '../../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

/** A worker with nothing to do, that has asked for the bell of its queue. */
export interface IdleWorker {
  readonly database: TestDatabase;
  readonly taskmaster: Taskmaster;
  /** What its handler got. */
  readonly handled: SignalPoint<Job>;
  /** Bells that rang, heard by a listener of the test. */
  readonly bells: SignalPoint<string>;
  readonly jobs: string;
  readonly schema: string;
}

/** Starts one for the queue `mail`, and waits until it sleeps; without bells it never does for long. */
export async function idleWorker(options: Partial<TaskmasterOptions> = {}): Promise<IdleWorker> {
  const database = await testDatabase();
  const { channel, jobs, schema } = tablesOf(database.schema);
  const bells = new SignalPoint<string>();
  const listener = await database.client();
  listener.on('notification', (notification) => bells.signal(notification.payload ?? ''));
  await listener.query(`listen ${channel}`);
  const taskmaster = engine(database, options);
  const handled = new SignalPoint<Job>();
  taskmaster.register({
    queue: 'mail',
    label: 'mail',
    handle: (_payload: unknown, job) => handled.signal(job),
  });
  await taskmaster.start();
  if (options.listen?.enabled !== false) await eventually(() => isArmed(database, ['mail', '']));
  return { database, taskmaster, handled, bells, jobs, schema };
}

/** Whether bells are asked for: those of queues, and '' for scheduled jobs. */
async function isArmed(database: TestDatabase, bells: readonly string[]): Promise<boolean> {
  const rows = await database.query(
    `select from unnest($1::text[]) as bell
      where exists (select from pg_locks
                     where locktype = 'advisory' and granted and mode = 'ShareLock' and classid = 1413830740
                       and objid = hashtext(bell)::bigint & 4294967295
                       and database = (select oid from pg_database where datname = current_database()))`,
    [bells],
  );
  return rows.length === bells.length;
}
