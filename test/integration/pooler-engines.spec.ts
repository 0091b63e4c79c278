import { describe, expect, it } from 'vitest';
import { snooze, type Job } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { PGBOUNCER, pooler } from '../support/pooler.js';
import { testDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from './support/audit.js';
import { JobTable } from './support/job-table.js';
import { workingEngine } from './support/working-engine.js';

if (PGBOUNCER === undefined)
  console.warn('SKIPPED: PgBouncer is not installed (Debian: apt-get install pgbouncer)');

/** Long enough for three sessions that many wait for. */
const LEASE = { ttlMs: 10_000, heartbeatMs: 1_000, heartbeat: 'main' } as const;

describe.skipIf(PGBOUNCER === undefined)('several engines behind PgBouncer in transaction mode', () => {
  it('share its few connections and the work, and no job is handed out twice', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    await database.query('create table effects (job_id bigint)');
    const audit = await audited(database);
    const connection = await pooler(database, 3);
    const naps = new Set<string>();
    const handlers = {
      ack: () => undefined,
      again: {
        backoff: 20,
        handle: (job: Job<never>) => (job.runCount === 1 ? Promise.reject(new Error('once')) : undefined),
      },
      nap: (job: Job<never>) => (naps.has(job.id) ? undefined : naps.add(job.id) && snooze(20)),
      effect: {
        transactional: true,
        handle: (job: Job<never>) => job.tx!.query('insert into effects values ($1)', [job.id]),
      },
    };
    const engines = [
      await workingEngine(database, handlers, { connection, name: 'one', lease: LEASE }),
      await workingEngine(database, handlers, { connection, name: 'two', lease: LEASE }),
      await workingEngine(database, handlers, {
        connection,
        name: 'three',
        lease: { ...LEASE, heartbeat: 'thread' },
      }),
    ];
    const queues = Object.keys(handlers);
    const { publisher } = engines[0]!.taskmaster;
    const enqueued = await publisher.enqueueMany(
      Array.from({ length: 400 }, (_, n) => ({ queue: queues[n % 4]!, delayMs: n % 3 === 0 ? 100 : 0 })),
    );
    await jobs.empty({ timeoutMs: 20_000 });
    const completed = await eventually(() => {
      const all = engines.flatMap(({ log }) => log.of('completed').values.map((event) => event.jobId));
      return all.length >= enqueued.length && all;
    });
    expect((completed as string[]).toSorted()).toEqual(enqueued.map((job) => job.id).toSorted());
    expect(await database.query('select from effects')).toHaveLength(100);
    expect(await audit.violations()).toEqual(NO_VIOLATIONS);
    for (const { log } of engines) {
      expect(log.of('engineError').values).toEqual([]);
      expect(log.of('workerLost').values).toEqual([]);
    }
  });
});
