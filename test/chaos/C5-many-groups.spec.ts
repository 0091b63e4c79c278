import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { defineQueue } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from '../integration/support/job-table.js';

const CLAIMERS = 20;
const GROUPS = 100;
const JOBS_A_GROUP = 12;

interface Payload {
  readonly group: string;
  readonly n: number;
}

/** What handlers in all engines see of each group. */
class Watch {
  readonly #running = new Map<string, number>();
  readonly most = new Map<string, number>();
  readonly order = new Map<string, number[]>();

  async run({ group, n }: Payload): Promise<void> {
    const running = (this.#running.get(group) ?? 0) + 1;
    this.#running.set(group, running);
    this.most.set(group, Math.max(this.most.get(group) ?? 0, running));
    this.order.set(group, [...(this.order.get(group) ?? []), n]);
    await delay(5 * Math.random());
    this.#running.set(group, this.#running.get(group)! - 1);
  }
}

describe(`C5: ${GROUPS} groups and ${CLAIMERS} engines that claim from them`, () => {
  it.each([1, 3])('never run more of a group at once than %i', { timeout: 120_000 }, async (limit) => {
    const database = await testDatabase();
    const watch = new Watch();
    const queue = defineQueue<Payload>('grouped', { groupConcurrency: limit });
    const engines = await Promise.all(
      Array.from({ length: CLAIMERS }, async (_, n) => {
        const taskmaster = engine(database, { name: `engine ${n}`, lease: LEASE });
        taskmaster.register({
          queue,
          label: 'grouped',
          options: { concurrency: 40 },
          handle: (payload: Payload) => watch.run(payload),
        });
        await taskmaster.start();
        return taskmaster;
      }),
    );
    for (let n = 0; n < JOBS_A_GROUP; n += 1) {
      const jobs = Array.from({ length: GROUPS }, (_, group) => ({ group: `g${group}`, n }));
      await engines[0]!.publisher.enqueueMany(
        jobs.map((payload) => ({ queue, payload, group: payload.group })),
      );
    }
    await new JobTable(database).empty({ timeoutMs: 90_000 });
    const inOrder = Array.from({ length: JOBS_A_GROUP }, (_, n) => n);
    const begun = [...watch.order.values()].map((order) =>
      limit === 1 ? order : order.toSorted((a, b) => a - b),
    );
    expect(begun).toEqual(Array.from({ length: GROUPS }, () => inOrder)); // each once, and in order where one runs at a time
    expect(Math.max(...watch.most.values())).toBe(limit); // and as many as may
  });
});

/** Twenty engines in one process may be slow to heartbeat. */
const LEASE = { ttlMs: 60_000, heartbeatMs: 5_000, heartbeat: 'main' } as const;
