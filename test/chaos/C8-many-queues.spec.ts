import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { idleLoadOf } from './support/load.js';
import { pgServer, type PgServer } from './support/pg-server.js';

const QUEUES = 10_000;
const WATCHED_MS = 5_000;
const LEASE = { ttlMs: 60_000, heartbeatMs: 5_000, heartbeat: 'main' } as const;

describe(`C8: ${QUEUES} queues with a job in each`, () => {
  it('cost a process that consumes a hundred of them nothing', { timeout: 120_000 }, async () => {
    const { server, database, jobs, fill } = await setup();
    const { taskmaster } = await workingEngine(database, handlersOf(100), { lease: LEASE });
    await fill();
    await eventually(async () => (await leftIn(server, jobs)) === QUEUES - 100, { timeoutMs: 60_000 });
    await rested(server);
    const { commits } = await idleLoadOf(server, WATCHED_MS);
    expect(commits / (WATCHED_MS / 1_000)).toBeLessThan(10);
    await taskmaster.close();
  });
});

async function setup() {
  const server = await pgServer({ settings: ['fsync=off'] });
  const database = await server.database();
  const jobs = new JobTable(database);
  const fill = () =>
    server.query(
      `insert into ${jobs.schema}.jobs (queue_name, payload) select 'queue ' || n, '{}' from generate_series(1, $1::integer) as n`,
      [QUEUES],
    );
  return { server, database, jobs, fill };
}

function handlersOf(count: number): Record<string, () => undefined> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`queue ${n + 1}`, () => undefined]));
}

async function leftIn(server: PgServer, jobs: JobTable): Promise<number> {
  const [row] = await server.query<{ count: number }>(
    `select count(*)::integer as count from ${jobs.schema}.jobs`,
  );
  return row!.count;
}

/** Until workers wait for bells, and do what they do when there is nothing to do. */
async function rested(server: PgServer): Promise<void> {
  await eventually(async () => (await idleLoadOf(server, 1_000)).commits < 30, { timeoutMs: 60_000 });
}
