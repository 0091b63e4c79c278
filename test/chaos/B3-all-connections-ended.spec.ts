import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { pgServer } from './support/pg-server.js';
import { rerunsIn } from './support/soft-checks.js';
import { ALL, missing } from './support/when.js';
import { chaosWorld } from './support/world.js';

const JOBS = 20_000;
const ENDED_FOR_MS = 30_000;
const skipped = missing('B3 with 20,000 jobs', { '--all': ALL });

describe.skipIf(skipped)('B3: all connections, ended every 200 ms for 30 seconds', () => {
  it(`lose none of ${JOBS} jobs, nor one that is enqueued meanwhile`, { timeout: 900_000 }, async () => {
    const server = await pgServer();
    const world = await chaosWorld(server, { concurrency: 20 });
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.worker(name)));
    const producer = await world.producer({ seed: 3, pauseMs: 50 });
    await world.insert('plain', { workMs: 5 }, JOBS);
    const startedAt = Date.now();
    let ended = 0;
    while (Date.now() - startedAt < ENDED_FOR_MS) {
      const rows = await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where backend_type = 'client backend' and application_name not in ('test', 'audit')`,
      );
      ended += rows.length;
      await delay(200);
    }
    world.history.note('terminate', null, startedAt);
    producer.kill('SIGTERM');
    await producer.exit({ timeoutMs: 60_000 });
    const drainMs = await world.drained({ timeoutMs: 300_000 });
    await world.assertSound();
    const reruns = await rerunsIn(world.history, world.lease.ttlMs);
    console.info(`B3: ${JSON.stringify({ ended, drainMs: Math.round(drainMs), reruns })}`);
    expect(reruns.unexplained).toBe(0);
    expect(ended).toBeGreaterThan(200);
  });
});
