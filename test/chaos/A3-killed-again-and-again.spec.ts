import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { pgServer } from './support/pg-server.js';
import { recoveriesIn, rerunsIn } from './support/soft-checks.js';
import { ALL, missing } from './support/when.js';
import { chaosWorld } from './support/world.js';

const JOBS = 20_000;
const KILL_EVERY_MS = 3_000;
const skipped = missing('A3', { '--all': ALL });

describe.skipIf(skipped)('A3: one of four workers, killed every three seconds', () => {
  it(`loses none of ${JOBS} jobs`, { timeout: 900_000 }, async () => {
    const server = await pgServer();
    const world = await chaosWorld(server, { concurrency: 20 });
    const workers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.worker(name)));
    await world.insert('plain', { workMs: 20 }, JOBS);
    const drained = world.drained({ timeoutMs: 600_000 });
    const over = drained.then(() => true);
    for (let kills = 0; !(await Promise.race([over, delay(KILL_EVERY_MS, false)])); kills += 1) {
      const victim = workers[kills % workers.length]!;
      const killedAt = Date.now();
      victim.process.kill('SIGKILL');
      await victim.process.exit();
      await world.restart(victim);
      world.history.note('kill', victim.name, killedAt);
    }
    await world.assertSound();
    const reruns = await rerunsIn(world.history, world.lease.ttlMs);
    const recoveries = await recoveriesIn(world.history);
    console.info(`A3: ${JSON.stringify({ reruns, recoveries })}`);
    expect(reruns.unexplained).toBe(0);
    expect(recoveries.p99Ms ?? 0).toBeLessThan(3 * world.lease.ttlMs + 6_000);
  });
});
