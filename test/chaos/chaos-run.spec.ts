import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { FAULTS } from './support/faults.js';
import { pgServer } from './support/pg-server.js';
import { Random } from './support/random.js';
import { connectionsOf, recoveriesIn, rerunsIn, unexplainedIn } from './support/soft-checks.js';
import { chaosWorld, type ChaosWorld } from './support/world.js';

/** How long faults go on; `npm run test:chaos -- --minutes M` says so. */
const MINUTES = Number(process.env['TASKMASTER_CHAOS_MINUTES'] ?? 1);
const SEED = Number(process.env['TASKMASTER_CHAOS_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const WORKERS = 4;
/** Of an engine: its pool of 4, one for claims, one to listen, one for heartbeats, one for what is done rarely. */
const CONNECTIONS = 8;
const DRAIN_MS = 120_000;
const PROGRESS_MS = 10_000;

describe('faults of every kind, one after another', () => {
  it(
    `break no promise: seed ${SEED}, ${MINUTES} minute(s)`,
    async () => {
      const random = new Random(SEED);
      const server = await pgServer();
      const world = await chaosWorld(server);
      for (let n = 1; n <= WORKERS; n += 1) await world.worker(`w${n}`, { tickMs: 1_000 });
      const producer = await world.producer({ seed: SEED, pauseMs: 60 });

      const counts = await wreck(world, { server, random });

      const lastFaultAt = performance.now();
      producer.kill('SIGTERM');
      await producer.exit({ timeoutMs: 60_000 });
      await world.drained({ timeoutMs: DRAIN_MS });
      const drainMs = Math.round(performance.now() - lastFaultAt);
      const connections = await eventually(async () => {
        const count = await connectionsOf(world.history);
        return count <= WORKERS * CONNECTIONS && count;
      });
      for (const { process } of world.workers) process.kill('SIGTERM');
      const ends = await Promise.all(world.workers.map((worker) => world.gone(worker)));

      const outcomes = await world.storeOutcomes();
      await world.history.storeFaults();
      const { verdict, words } = await world.verdict();
      const reruns = await rerunsIn(world.history, world.lease.ttlMs);
      const recoveries = await recoveriesIn(world.history);
      const [{ jobs }] = (await server.query<{ jobs: number }>(
        `select count(*)::integer as jobs from audit.jobs where op = 'i'`,
      )) as [{ jobs: number }];
      const report = { seed: SEED, minutes: MINUTES, faults: counts, jobs, outcomes, reruns, recoveries, drainMs, connections, ttlMs: world.lease.ttlMs }; // prettier-ignore
      console.info(`chaos report ${JSON.stringify(report, null, 2)}`);

      expect(words.join('\n')).toBe('');
      expect(Object.values(verdict).every((count) => count === 0)).toBe(true);
      expect(await unexplainedIn(world.history, world.lease.ttlMs)).toBe('');
      expect({ unexplained: reruns.unexplained, overlaps: reruns.unexplainedOverlaps }).toEqual({
        unexplained: 0,
        overlaps: 0,
      });
      expect(recoveries.p99Ms ?? 0).toBeLessThan(world.lease.ttlMs * 3 + 6_000);
      expect(world.complaints).toEqual([]);
      expect(ends.every(({ code }) => code === 0)).toBe(true);
      expect(outcomes['ok']).toBeGreaterThan(100 * MINUTES); // that there was something to lose
      expect(outcomes['rolled back']).toBeGreaterThan(0);
    },
    MINUTES * 60_000 + DRAIN_MS + 180_000,
  );
});

/** Every kind once, in an order of the seed, then any, until the time is over. At times two at once. */
async function wreck(
  world: ChaosWorld,
  { server, random }: { server: Awaited<ReturnType<typeof pgServer>>; random: Random },
): Promise<Record<string, number>> {
  const until = performance.now() + MINUTES * 60_000;
  const counts: Record<string, number> = {};
  const waiting = random.shuffled(Object.keys(FAULTS));
  let progressAt = performance.now() + PROGRESS_MS;
  const one = async () => {
    const kind = waiting.shift() ?? random.pick(Object.keys(FAULTS));
    counts[kind] = (counts[kind] ?? 0) + 1;
    await FAULTS[kind]!({ world, server, random });
  };
  while (performance.now() < until) {
    await one();
    await delay(random.between(200, 1_500));
    if (performance.now() < progressAt) continue;
    progressAt += PROGRESS_MS;
    await progress(world, counts, until);
  }
  return counts;
}

async function progress(world: ChaosWorld, counts: Record<string, number>, until: number): Promise<void> {
  const [row] = await world.server.query<{ inserted: number; ended: number }>(
    `select count(*) filter (where op = 'i')::integer as inserted, count(*) filter (where op = 'd')::integer as ended from audit.jobs`,
  );
  const faults = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const left = Math.max(0, Math.round((until - performance.now()) / 1_000));
  console.info(
    `chaos seed ${SEED}: ${faults} faults, ${row!.inserted} jobs in, ${row!.ended} done, ${left} s left`,
  );
}
