import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { otherClock } from './support/other-clock.js';
import { DEBIAN_POSTGRES, pgServer } from './support/pg-server.js';
import { DEBIAN, FAKETIME, missing } from './support/when.js';

const skipped = missing('B31', {
  'PostgreSQL 15 (package postgresql-15)': DEBIAN,
  libfaketime: FAKETIME !== undefined,
});

describe.skipIf(skipped)('B31: a clock of the database that jumps', () => {
  it.each([2, -2])('by %i hours costs no lease, and work goes on', { timeout: 120_000 }, async (hours) => {
    const clock = await otherClock();
    const server = await pgServer({ binDir: DEBIAN_POSTGRES, env: clock.env, settings: ['fsync=off'] });
    const database = await server.database();
    const jobs = new JobTable(database);
    const busy = gate();
    const lease = { ttlMs: 5_000, heartbeatMs: 1_000, heartbeat: 'thread' } as const;
    const handlers = { mail: () => busy.pass(), other: () => undefined };
    const engines = [1, 2].map((n) => workingEngine(database, handlers, { name: `engine ${n}`, lease }));
    const working = await Promise.all(engines);
    await jobs.insertMany('mail', 5);
    await busy.reached(5);
    const before = await beatOf(server, database.schema);
    await clock.set(hours);
    const jumped = async () => Math.abs((await beatOf(server, database.schema)) - before) > 3_600 && true;
    await eventually(jumped, { timeoutMs: 20_000 });
    await jobs.insertMany('other', 10);
    busy.open();
    await jobs.empty({ timeoutMs: 30_000 });
    const all = working.flatMap(({ log }) => log.all);
    expect(all.filter(({ type }) => ['rescued', 'leaseLost'].includes(type))).toEqual([]);
    expect(all.filter(({ type }) => type === 'started')).toHaveLength(15);
    await Promise.all(working.map(({ taskmaster }) => taskmaster.close()));
  });
});

/** The last heartbeat of every worker, in seconds: the earliest, so that it has moved when all have. */
async function beatOf(server: Awaited<ReturnType<typeof pgServer>>, schema: string): Promise<number> {
  const [row] = await server.query<{ at: number }>(
    `select extract(epoch from min(heartbeat_at))::double precision as at from "${schema}".workers`,
  );
  return row!.at;
}
