import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { gate } from '../support/gate.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

/** Heartbeats from a thread have a connection of their own, which waits for nothing. */
const LEASE = { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'thread' } as const;

describe('B30: a table that somebody has locked for longer than a lease', () => {
  it.each(['lock table JOBS in access exclusive mode', 'vacuum full JOBS', 'reindex table JOBS'])(
    'holds work up, and costs no lease: %s',
    { timeout: 60_000 },
    async (statement) => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      const busy = gate();
      const handlers = { mail: () => busy.pass(), other: () => undefined };
      const engines = [1, 2].map((n) =>
        workingEngine(database, handlers, { name: `engine ${n}`, lease: LEASE }),
      );
      const logs = (await Promise.all(engines)).map(({ log }) => log);
      await jobs.insertMany('mail', 5);
      await busy.reached(5);
      const text = statement.replace('JOBS', `${jobs.schema}.jobs`);
      if (text.startsWith('lock')) await holdFor(database, text, 2 * LEASE.ttlMs);
      else await database.query(text);
      busy.open();
      await jobs.insertMany('other', 20);
      await jobs.empty({ timeoutMs: 20_000 });
      const all = logs.flatMap((log) => log.all);
      expect(all.filter(({ type }) => ['workerLost', 'rescued', 'leaseLost'].includes(type))).toEqual([]);
      expect(all.filter(({ type }) => type === 'started')).toHaveLength(25);
    },
  );
});

async function holdFor(
  database: Awaited<ReturnType<typeof testDatabase>>,
  text: string,
  ms: number,
): Promise<void> {
  const client = await database.client();
  await client.query('begin');
  await client.query(text);
  await delay(ms);
  await client.query('commit');
}
