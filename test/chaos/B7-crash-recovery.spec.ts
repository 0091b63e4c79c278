import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { pgServer } from './support/pg-server.js';
import { rerunsIn } from './support/soft-checks.js';
import { chaosWorld } from './support/world.js';

describe('B7: a server that loses power, and recovers', () => {
  it(
    'loses nothing: work goes on, and only what ran at the crash runs again',
    { timeout: 180_000 },
    async () => {
      const server = await pgServer();
      const world = await chaosWorld(server, { lease: { ttlMs: 5_000 } });
      await Promise.all(['a', 'b'].map((name) => world.worker(name)));
      const producer = await world.producer({ seed: 7, pauseMs: 50 });
      for (let times = 0; times < 2; times += 1) {
        await delay(2_000);
        const crashedAt = Date.now();
        await server.crash();
        await delay(times * 3_000);
        await server.start();
        world.history.note('crash', null, crashedAt);
      }
      producer.kill('SIGTERM');
      await producer.exit({ timeoutMs: 60_000 });
      await world.drained();
      await world.assertSound();
      const { explained, unexplained } = await rerunsIn(world.history, world.lease.ttlMs);
      expect(unexplained).toBe(0);
      expect(explained).toBeLessThanOrEqual(2 * 2 * 25); // two crashes, two workers, all that they can run at once
      expect(world.said('rescued')).toBe(0); // who could not heartbeat because the server was away is not dead
    },
  );
});
