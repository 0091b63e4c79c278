import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { openEngine } from '../support/engine.js';
import type { TestDatabase } from '../support/test-database.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { PATRONI, patroniCluster, type PatroniCluster } from './support/patroni.js';
import { missing } from './support/when.js';

const skipped = missing('the cluster', { 'packages patroni, etcd-server, haproxy, postgresql-15': PATRONI });
const OPTIONS = {
  connectTimeoutMs: 3_000,
  lease: { ttlMs: 5_000, heartbeatMs: 1_000, heartbeat: 'main' },
} as const;

describe.skipIf(skipped)('a cluster of Patroni, etcd and HAProxy whose leader is killed under load', () => {
  it('loses no job whose enqueue was confirmed, and work goes on', { timeout: 400_000 }, async () => {
    const cluster = await patroniCluster();
    await cluster.ready();
    const database = databaseOf(cluster);
    const done = new SignalPoint<number>();
    const handle = (job: { payload: { n: number } }) => done.signal(job.payload.n);
    const handlers = { mail: { backoff: 50, handle } };
    const workers = await Promise.all(
      ['w1', 'w2'].map((name) => workingEngine(database, handlers, { ...OPTIONS, name, connect: 'lazy' })),
    );
    const publishing = await openEngine(database, { ...OPTIONS, consume: false, name: 'publisher' });

    const confirmed: number[] = [];
    const stop = new AbortController();
    let next = 0;
    const publish = async () => {
      while (!stop.signal.aborted) {
        const n = (next += 1);
        await publishing.publisher.enqueue('mail', { n }).then(
          () => confirmed.push(n),
          () => undefined,
        );
      }
    };
    const publishes = Promise.all([publish(), publish()]);
    await done.count(200, { timeoutMs: 60_000 });
    const killedAt = performance.now();
    const killed = await cluster.killLeader();
    const leader = await eventually(
      async () => {
        const found = await cluster.leader();
        return found !== undefined && found.name !== killed && found;
      },
      { timeoutMs: 120_000 },
    );
    const promotedAt = performance.now();
    const confirmedThen = confirmed.length;
    const doneThen = done.values.length;
    await eventually(() => confirmed.length >= confirmedThen + 20, { timeoutMs: 60_000 });
    await done.count(doneThen + 20, { timeoutMs: 60_000 });
    const resumedAt = performance.now();
    stop.abort();
    await publishes;
    const missingNow = () => confirmed.filter((n) => !new Set(done.values).has(n));
    await eventually(() => missingNow().length === 0, { timeoutMs: 60_000 });
    console.info(
      `cluster: ${confirmed.length} jobs confirmed, 0 lost; a new leader ${seconds(promotedAt - killedAt)} after the kill, ` +
        `work goes on ${seconds(resumedAt - promotedAt)} later`,
    );
    expect((leader as { name: string }).name).not.toBe(killed);
    // Patroni waits for the end of the leader's lease, of 20 s at least; what comes after it is ours.
    expect(resumedAt - promotedAt).toBeLessThan(10_000);
    for (const { taskmaster } of workers) await taskmaster.close();
    await publishing.close();
  });
});

/** What takes a test's database gets one that follows the leader. */
function databaseOf(cluster: PatroniCluster): TestDatabase {
  const refused = () => Promise.reject(new Error('connections that follow the leader are not kept'));
  return {
    name: 'postgres',
    schema: process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster',
    config: cluster.config,
    url: '',
    query: (text, values) => cluster.query(text, values),
    client: refused,
  };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
