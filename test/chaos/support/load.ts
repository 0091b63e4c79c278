import { setTimeout as delay } from 'node:timers/promises';
import type { PgServer } from './pg-server.js';

/** What a server was made to do, by its own count: it is the same on a busy machine. */
export interface Load {
  readonly commits: number;
  /** Blocks it has looked at. */
  readonly blocks: number;
}

/** What a server does while `work` is under way. */
export async function loadOf(server: PgServer, work: () => Promise<unknown>): Promise<Load> {
  const before = await loadSoFar(server);
  await work();
  const after = await loadSoFar(server);
  return { commits: after.commits - before.commits, blocks: after.blocks - before.blocks };
}

/** What it does by itself for so long. */
export function idleLoadOf(server: PgServer, ms: number): Promise<Load> {
  return loadOf(server, () => delay(ms));
}

/** Backends tell what they have done with a delay, by their end at the latest. */
async function loadSoFar(server: PgServer): Promise<Load> {
  await server.query('select pg_stat_force_next_flush()').catch(() => undefined); // not there before PostgreSQL 15
  const [row] = await server.query<{ commits: number; blocks: number }>(
    `select xact_commit::double precision as commits, (blks_hit + blks_read)::double precision as blocks
       from pg_stat_database where datname = current_database()`,
  );
  return row!;
}
