import { describe, expect, it } from 'vitest';
import { workingEngine } from '../integration/support/working-engine.js';
import { JobTable } from '../integration/support/job-table.js';
import { pgServer, type PgServer } from './support/pg-server.js';

const JOBS = 3_000;
const ROUNDS = 4;

/** What keeps old rows from being removed: a transaction that has forgotten to end, a dump, a slot that nobody reads. */
const PINS: Readonly<Record<string, (server: PgServer) => Promise<() => Promise<unknown>>>> = {
  'B28: a transaction with an old snapshot': async (server) => {
    const client = await server.client();
    await client.query('begin isolation level repeatable read; select 1');
    return () => client.end();
  },
  'B35: a logical replication slot that nobody reads': async (server) => {
    await server.query(`select pg_create_logical_replication_slot('unread', 'pgoutput')`);
    return () => server.query(`select pg_drop_replication_slot('unread')`);
  },
};

describe.each(Object.entries(PINS))('%s', (_name, pin) => {
  it('does not make a job cost more and more', { timeout: 180_000 }, async () => {
    const server = await pgServer({ settings: ['wal_level=logical', 'fsync=off'] });
    const database = await server.database();
    const jobs = new JobTable(database);
    const { taskmaster } = await workingEngine(database, {
      mail: { concurrency: 50, handle: () => undefined },
    });
    const release = await pin(server);
    const costs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await blocksOf(server);
      await jobs.insertMany('mail', JOBS);
      await jobs.empty({ timeoutMs: 60_000 });
      costs.push(((await blocksOf(server)) - before) / JOBS);
    }
    // Blocks that the server looks at, not time: it is the same on a busy machine.
    expect(Math.max(...costs.slice(1))).toBeLessThan(2.5 * costs[0]! + 20);
    await release();
    await taskmaster.close();
  });
});

/** Statistics of a backend are told with a delay, by its end at the latest. */
async function blocksOf(server: PgServer): Promise<number> {
  await server.query('select pg_stat_force_next_flush()').catch(() => undefined);
  const [row] = await server.query<{ blocks: number }>(
    `select (blks_hit + blks_read)::double precision as blocks from pg_stat_database where datname = current_database()`,
  );
  return row!.blocks;
}
