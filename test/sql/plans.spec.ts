import { describe, expect, it, onTestFinished } from 'vitest';
import { EventHub, retry, snooze } from '../../lib/engine/index.js';
import { Cluster } from '../../lib/engine/connection/cluster.js';
import { targetsOf } from '../../lib/engine/connection/connection-target.js';
import { Session } from '../../lib/engine/connection/session.js';
import { claimJobs } from '../../lib/engine/sql/claim-jobs.js';
import { statement } from '../../lib/engine/sql/statement.js';
import { openLanes } from '../../lib/engine/sql/sweep-jobs.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** The trap for every queue: its statistics say that the table is empty, and then it is not. */
async function analysedWhileEmpty(): Promise<TestDatabase> {
  const database = await testDatabase();
  await database.query(`analyze`);
  return database;
}

function fill(database: TestDatabase, count: number): Promise<unknown> {
  const { jobs } = tablesOf(database.schema);
  return database.query(
    `insert into ${jobs} (queue_name, payload) select 'mail', jsonb_build_object('n', n) from generate_series(1, $1) as n`,
    [count],
  );
}

/** A session as the engine has it, with its pinned plans. */
function engineSession(database: TestDatabase): Session {
  const session = new Session({
    cluster: new Cluster(targetsOf(database.config), 10_000),
    tables: tablesOf(database.schema),
    events: new EventHub('test'),
    preparedStatements: true,
    queryTimeoutMs: 10_000,
  });
  onTestFinished(() => session.close());
  return session;
}

/** The plan of a statement that this session has prepared. */
function planOf(name: string) {
  return statement<undefined, { readonly 'QUERY PLAN': string }>({
    name: `explain_${name}`,
    text: ({ prefix }) => `explain (costs off) execute ${prefix}${name} (1, '{mail}', '{10}')`,
    values: () => [],
  });
}

describe('the plan of a claim', () => {
  it('is the range of jobs_ready, though it was made for an empty table', async () => {
    const database = await analysedWhileEmpty();
    const session = engineSession(database);
    const claim = { workerId: 1, queues: ['mail'], limits: [10] };
    await session.run(openLanes, { queues: ['mail'] });
    await session.run(claimJobs, claim);
    await fill(database, 20_000);
    const [taken] = await session.run(claimJobs, claim);
    expect(JSON.parse(taken?.jobs ?? '')).toHaveLength(10);
    const plan = (await session.run(planOf('claim_jobs'), undefined))
      .map((row) => row['QUERY PLAN'])
      .join('\n');
    expect(plan).toContain('Index Scan using jobs_ready on jobs job');
    expect(plan).not.toMatch(/Seq Scan on (jobs|lanes|leases|queues)/);
    expect(plan).not.toMatch(/Hash Join|Merge Join|Bitmap/);
  });
});

describe('an engine', () => {
  it('never reads jobs or leases from end to end, whatever it does', async () => {
    const database = await analysedWhileEmpty();
    const taskmaster = engine(database, { lease: { heartbeat: 'main', heartbeatMs: 100 } });
    const starts = new Map<number, number>();
    const settled = new SignalPoint<string>();
    taskmaster.events.subscribe((event) => {
      if (event.type === 'completed' || event.type === 'failed') settled.signal(event.jobId);
    });
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { concurrency: 50, backoff: 0, maxAttempts: 2 },
      handle: ({ n }: { n: number }, job) => {
        starts.set(n, (starts.get(n) ?? 0) + 1);
        if (n % 500 === 1) throw new Error('again, and then never');
        if (n % 500 === 2 && job.runCount === 1) return retry({ delayMs: 10 });
        if (n % 500 === 3 && starts.get(n) === 1) return snooze(10);
        return undefined;
      },
    });
    await fill(database, 5_000);
    await taskmaster.start();
    await settled.count(5_000);
    await taskmaster.close();
    expect(await sequentialScans(database)).toEqual({ jobs: 0, leases: 0 });
  });
});

/** How often other connections than the test's own have read these tables from end to end; told when they end. */
async function sequentialScans(database: TestDatabase): Promise<Record<string, number>> {
  const rows = await database.query<{ relname: string; seq_scan: string }>(
    `select relname, seq_scan from pg_stat_all_tables where schemaname = $1 and relname in ('jobs', 'leases')`,
    [database.schema],
  );
  return Object.fromEntries(rows.map((row) => [row.relname, Number(row.seq_scan)]));
}
