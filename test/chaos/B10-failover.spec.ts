import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { DEBIAN_POSTGRES, pgServer, standbyOf } from './support/pg-server.js';
import { DEBIAN, missing } from './support/when.js';

const skipped = missing('B10', { 'PostgreSQL 15 (package postgresql-15)': DEBIAN });

describe.skipIf(skipped)('B10: a primary that dies, and its synchronous standby that takes over', () => {
  it('loses no job whose enqueue was confirmed, and work goes on', { timeout: 180_000 }, async () => {
    const primary = await pgServer({ binDir: DEBIAN_POSTGRES, settings: ['fsync=off'] });
    const database = await primary.database();
    const standby = await standbyOf(primary, 'standby');
    await standby.start();
    await primary.query(`alter system set synchronous_standby_names = 'standby'`);
    await primary.query('select pg_reload_conf()');
    await eventually(
      async () =>
        (await primary.query(`select from pg_stat_replication where sync_state = 'sync'`)).length === 1,
    );

    const hosts = [primary, standby].map(({ port }) => ({ host: '127.0.0.1', port }));
    const { host: _host, port: _port, ...account } = primary.config;
    const connection = { ...account, hosts };
    const runs = new SignalPoint<number>();
    const options = {
      connection,
      connectTimeoutMs: 3_000,
      lease: { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'main' },
    } as const;
    const handle = (job: { payload: { n: number } }) => runs.signal(job.payload.n);
    const { taskmaster } = await workingEngine(database, { mail: { backoff: 50, handle } }, options);
    const publishing = await openEngine(database, { ...options, consume: false, name: 'publisher' });

    const confirmed: number[] = [];
    const stop = new AbortController();
    const publish = async () => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        await publishing.publisher.enqueue('mail', { n }).then(
          () => confirmed.push(n),
          () => undefined,
        );
      }
    };
    const publishes = publish();
    await runs.count(50, { timeoutMs: 30_000 });
    await primary.crash();
    await standby.promote();
    const promotedAt = performance.now();
    const before = runs.values.length;
    await runs.count(before + 20, { timeoutMs: 60_000 });
    const resumedMs = performance.now() - promotedAt;
    stop.abort();
    await publishes;
    await eventually(() => confirmed.every((n) => runs.values.includes(n)), { timeoutMs: 60_000 });
    await eventually(
      async () => (await standby.query(`select from "${database.schema}".jobs`)).length === 0,
      { timeoutMs: 30_000 },
    );
    console.info(
      `B10: ${confirmed.length} confirmed, none lost; work went on ${Math.round(resumedMs)} ms after the promotion`,
    );
    expect(resumedMs).toBeLessThan(30_000);
    await taskmaster.close();
    await publishing.close();
  });
});
