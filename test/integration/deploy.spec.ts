import { describe, expect, it } from 'vitest';
import { defineQueue, type Taskmaster } from '../../lib/engine/index.js';
import { MIGRATIONS } from '../../lib/engine/schema/migrations.generated.js';
import { Migrator } from '../../lib/engine/schema/migrator.js';
import { childProcess } from '../support/child-process.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import type { ReleaseProcessOptions } from './support/release-process.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

/** Processes take their time to start where there are few processors. */
const TIMEOUT = { timeout: 120_000 };
const SLOW = { timeoutMs: 60_000 };
const SCRIPT = new URL('./support/release-process.ts', import.meta.url);

/** What the second release says of its payloads. */
const VERSION_2 = {
  version: 2,
  upcasters: { 1: ({ name }: { name: string }) => ({ names: [name] }) },
};

interface Run {
  readonly job: string;
  readonly attempt: number;
  readonly release: number;
  readonly fits: boolean;
}

const setup = async () => {
  const database = await testDatabase();
  await database.query(
    'create table run (job bigint, attempt integer, release integer, fits boolean, at timestamptz default clock_timestamp())',
  );
  const jobs = new JobTable(database);
  const start = (release: 1 | 2) => {
    const lease = { ...SHORT_LEASE, ttlMs: 10_000 };
    const shutdown = { drainTimeoutMs: 30_000 };
    const taskmaster = { connection: database.url, schema: database.schema, lease, shutdown };
    const options: ReleaseProcessOptions = { release, taskmaster };
    return childProcess(SCRIPT, { args: [JSON.stringify(options)] });
  };
  const runs = () => database.query<Run & Record<string, unknown>>('select * from run order by at');
  return { database, jobs, start, runs, taskmaster: await openEngine(database) };
};

/** Enqueues one job after another until it is told to end; answers with the ids of all that were accepted. */
function load(taskmaster: Taskmaster): { readonly ids: string[]; end(): Promise<string[]> } {
  const First = defineQueue<{ name: string }>('mail');
  const Second = defineQueue<{ names: string[] }>('mail', VERSION_2);
  const ids: string[] = [];
  const over = new AbortController();
  const enqueuing = (async () => {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const some = n % 3 === 2 ? [{ names: ['b'] }] : [{ name: 'a' }, { name: 'b' }];
      const stored = await taskmaster.publisher.enqueueMany(n % 3 === 2 ? Second : First, some as never[]);
      ids.push(...stored.map(({ id }) => id));
    }
  })();
  return {
    ids,
    end: async () => {
      over.abort();
      await enqueuing;
      return ids;
    },
  };
}

/** `load` has gone on by so many jobs. */
const grown = (ids: readonly string[], by: number) => {
  const before = ids.length;
  return eventually(() => ids.length >= before + by, SLOW);
};

describe('a rolling deploy under load', TIMEOUT, () => {
  it('loses no job, runs none twice, and gives none to a release that does not know its version', async () => {
    const { jobs, runs, start, taskmaster } = await setup();
    const old = start(1);
    await old.line(/^ready$/, SLOW);
    const { ids, end } = load(taskmaster);
    await grown(ids, 100);
    const next = start(2);
    await next.line(/^ready$/, SLOW);
    await grown(ids, 100);
    old.kill('SIGTERM');
    await old.line(/^closed$/, SLOW);
    expect(await old.exit()).toEqual({ code: 0, signal: null });
    await grown(ids, 100);
    await end();
    await jobs.empty(SLOW);
    next.kill('SIGTERM');
    expect(await next.exit()).toEqual({ code: 0, signal: null });
    const all = await runs();
    expect(all.map((run) => run.job).toSorted()).toEqual(ids.toSorted());
    expect(all.filter((run) => run.attempt !== 1 || !run.fits)).toEqual([]);
    expect(new Set(all.map((run) => run.release))).toEqual(new Set([1, 2]));
  });

  it('hands back what still runs at a second SIGTERM: it runs again elsewhere, with no attempt spent', async () => {
    const { database, jobs, runs, start } = await setup();
    const old = start(1);
    await old.line(/^ready$/, SLOW);
    const held: string[] = [];
    for (let n = 0; n < 3; n += 1)
      held.push(await jobs.insert('mail', { payload: { name: 'a', hold: true } }));
    await eventually(async () => (await runs()).length === 3, SLOW);
    old.kill('SIGTERM');
    await eventually(async () => {
      const workers = await database.query(`select from ${jobs.schema}.workers where draining`);
      return workers.length === 1;
    }, SLOW);
    const before = performance.now();
    old.kill('SIGTERM');
    await old.line(/^closed$/, SLOW);
    expect(performance.now() - before).toBeLessThan(10_000);
    for (const id of held)
      expect(await jobs.of(id)).toMatchObject({ state: 'ready', run_count: 0, crash_count: 0 });
    await database.query(`update ${jobs.schema}.jobs set payload = payload - 'hold'`);
    const next = start(2);
    await jobs.empty(SLOW);
    next.kill('SIGTERM');
    await next.exit();
    const again = (await runs()).filter((run) => run.release === 2);
    expect(again.map((run) => run.job).toSorted()).toEqual(held.toSorted());
    expect(again.every((run) => run.attempt === 1)).toBe(true);
  });
});

describe('a migration under load', TIMEOUT, () => {
  const ADDITIVE = `
    alter table {{schema}}.jobs add column later text;
    create index jobs_later on {{schema}}.jobs (later) where later is not null;
    alter table {{schema}}.queues add column later integer not null default 0;
    create or replace function {{schema}}.ring_later() returns integer language sql as 'select 1'`;

  it('holds workers and publishers up for a moment, and no job is lost or runs twice', async () => {
    const { database, jobs, taskmaster } = await setup();
    const started: string[] = [];
    const handle = (job: { readonly id: string }) => void started.push(job.id);
    const { log } = await workingEngine(database, { mail: { ...VERSION_2, handle } });
    const { ids, end } = load(taskmaster);
    await grown(ids, 100);
    const client = await database.client();
    const more = { version: 999, name: 'more', breaking: false, sql: ADDITIVE };
    expect(await new Migrator(database.schema, [...MIGRATIONS, more]).run(client)).toEqual([999]);
    await grown(ids, 100);
    await end();
    await jobs.empty(SLOW);
    expect(started.toSorted()).toEqual(ids.toSorted());
    expect(log.of('engineError').values).toEqual([]);
    const late = await openEngine(database); // a release that does not know what was added
    await late.publisher.enqueue('other');
  });
});

describe('fifty first boots at once', TIMEOUT, () => {
  it('migrate the database once, and all of them work', async () => {
    const database = await testDatabase({ migrated: false });
    const connection = { ...database.config, max: 1 };
    const engines = Array.from({ length: 50 }, () =>
      engine(database, { connection, connectTimeoutMs: 60_000, listen: { enabled: false } }),
    );
    await Promise.all(engines.map((taskmaster) => taskmaster.open()));
    expect(await versions(database)).toEqual(MIGRATIONS.map(({ version }) => version));
    const stored = await Promise.all(engines.map((taskmaster) => taskmaster.publisher.enqueue('mail')));
    expect(new Set(stored.map(({ id }) => id)).size).toBe(50);
    const locks = await database.query(
      `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    );
    expect(locks).toEqual([]);
  });
});

async function versions(database: TestDatabase): Promise<number[]> {
  const rows = await database.query<{ version: number }>(
    `select version from "${database.schema}".migrations order by version`,
  );
  return rows.map(({ version }) => version);
}
