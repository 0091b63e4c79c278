import { describe, expect, it, onTestFinished } from 'vitest';
import { Taskmaster, type TaskmasterEvent, type TaskmasterOptions } from '../../lib/engine/index.js';
import { nextEvent } from '../support/next-event.js';
import { PGBOUNCER, pooler } from '../support/pooler.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

if (PGBOUNCER === undefined)
  console.warn('SKIPPED: PgBouncer is not installed (Debian: apt-get install pgbouncer)');

const LEASE = { ttlMs: 3_000, heartbeatMs: 500 } as const;

describe.skipIf(PGBOUNCER === undefined)('behind PgBouncer in transaction mode', () => {
  const setup = async (options: Partial<TaskmasterOptions> = {}) => {
    const database = await testDatabase();
    const connection = await pooler(database);
    const taskmaster = new Taskmaster({ connection, schema: database.schema, lease: LEASE, ...options });
    onTestFinished(() => taskmaster.close());
    const events: TaskmasterEvent[] = [];
    taskmaster.events.subscribe((event) => events.push(event));
    return { database, taskmaster, events };
  };
  const failures = (events: readonly TaskmasterEvent[]) =>
    events.filter((event) => event.type === 'engineError' || event.type === 'databaseLost');

  it('runs jobs, retries, delays and transactions, without an error', async () => {
    const { database, taskmaster, events } = await setup();
    const acked = new SignalPoint<number>();
    taskmaster.events.subscribe((event) => event.type === 'completed' && acked.signal(Number(event.jobId)));
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { backoff: 10 },
      handle: (payload: { n: number }, job) => {
        if (payload.n % 10 === 0 && job.runCount === 1) throw new Error('once more');
        return payload.n % 3 === 0
          ? job.transaction(async (tx) => void (await tx.query('select 1')))
          : undefined;
      },
    });
    await taskmaster.start();
    const payloads = Array.from({ length: 300 }, (_, n) => ({ n }));
    await Promise.all([
      taskmaster.publisher.enqueueMany('mail', payloads.slice(0, 150)),
      ...payloads.slice(150).map((payload) => taskmaster.publisher.enqueue('mail', payload, { delayMs: 20 })),
    ]);
    const ids = await acked.count(300, { timeoutMs: 25_000 });
    expect(new Set(ids).size).toBe(300);
    expect(failures(events)).toEqual([]);
    expect(await database.query(`select from ${database.schema}.jobs`)).toEqual([]);
  });

  it('keeps its lease, and leaves no setting and no lock behind for other clients', async () => {
    const { database, taskmaster, events } = await setup();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    const completed = nextEvent(taskmaster.events, 'completed');
    await taskmaster.start();
    await taskmaster.publisher.enqueue('mail', {});
    await completed;
    const beat = () =>
      database.query<{ at: Date }>(`select heartbeat_at as at from ${database.schema}.workers`);
    const [first] = await beat();
    await expect
      .poll(async () => (await beat())[0]?.at.getTime(), { timeout: 10_000 })
      .toBeGreaterThan(first!.at.getTime());
    expect(
      await database.query(
        `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
      ),
    ).toEqual([]);
    const { rows } = await taskmaster.pool.query('show enable_seqscan');
    expect(rows).toEqual([{ enable_seqscan: 'on' }]);
    expect(failures(events)).toEqual([]);
  });

  it('says that no notification arrives, and finds work by polling', async () => {
    const { taskmaster } = await setup();
    const unavailable = nextEvent(taskmaster.events, 'listenerUnavailable', undefined, { timeoutMs: 20_000 });
    const ran = new SignalPoint<unknown>();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: (payload: unknown) => ran.signal(payload) });
    await taskmaster.start();
    expect((await unavailable).reason).toMatch(/pooler/);
    await taskmaster.publisher.enqueue('mail', { n: 1 });
    expect(await ran.count(1)).toEqual([{ n: 1 }]);
    expect((await taskmaster.health()).status).toBe('degraded');
  });

  it('hears bells over a direct connection', async () => {
    const database = await testDatabase();
    const taskmaster = new Taskmaster({
      connection: await pooler(database),
      schema: database.schema,
      lease: LEASE,
      listen: { connection: database.url },
    });
    onTestFinished(() => taskmaster.close());
    const restored = nextEvent(taskmaster.events, 'listenerRestored');
    const ran = new SignalPoint<unknown>();
    taskmaster.register({ queue: 'mail', label: 'mail', handle: (payload: unknown) => ran.signal(payload) });
    await taskmaster.start();
    await restored;
    await database.query(
      `insert into ${database.schema}.jobs (queue_name, payload) values ('mail', '{"n": 2}')`,
    );
    expect(await ran.count(1)).toEqual([{ n: 2 }]);
    expect((await taskmaster.health()).status).toBe('up');
  });
});
