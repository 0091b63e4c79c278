import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { JobAdmin } from '../../lib/engine/index.js';
import { ackJobs, claimJobs, claimLimited } from '../../lib/engine/sql/claim-jobs.js';
import { registerWorker } from '../../lib/engine/sql/lease-jobs.js';
import { openLanes } from '../../lib/engine/sql/sweep-jobs.js';
import { jobsOf, statementRunner } from '../integration/support/statement-runner.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';

const RUNS = Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 25);

/** Who does what at the same time as all the others. */
type Actor =
  | { readonly kind: 'admin'; readonly limit: number | undefined; readonly edits: boolean }
  /** In a transaction that is rolled back. */
  | { readonly kind: 'rollback' }
  /** On a connection that is ended half-way. */
  | { readonly kind: 'killed' }
  /** Claims jobs of the queue and acks them, so many at a time. */
  | { readonly kind: 'worker'; readonly batch: number };

const actor: fc.Arbitrary<Actor> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('admin' as const),
      limit: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
      edits: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('killed' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('worker' as const), batch: fc.integer({ min: 1, max: 5 }) }),
  },
);
const scene = fc.record({
  jobs: fc.integer({ min: 1, max: 40 }),
  /** 0: they are in no group. */
  groups: fc.nat(3),
  actors: fc.array(actor, { minLength: 2, maxLength: 7 }),
});

/** What the actors need. */
const setup = async () => {
  const database = await testDatabase();
  const schema = `"${database.schema}"`;
  const admins = [
    (await openEngine(database)).admin.jobs,
    (await openEngine(database, { name: 'b' })).admin.jobs,
  ];
  const clients = await Promise.all(Array.from({ length: 7 }, () => database.client()));
  let scenes = 0;
  const next = () => `scene ${(scenes += 1)}`;
  return { admins, clients, database, next, schema };
};

/** Claims and acks until there is nothing more to claim; the payloads of what it acked. */
async function work(client: pg.Client, schema: string, queue: string, batch: number): Promise<number[]> {
  const run = statementRunner(client, schema);
  const [worker] = await run(registerWorker, { name: 'w', host: 'h', pid: 1, ttlMs: 60_000 });
  const handled: number[] = [];
  for (;;) {
    const claim = { workerId: worker!.id, queues: [queue], limits: [batch] };
    const plain = await run(claimJobs, claim);
    const grouped = await run(claimLimited, { ...claim, frees: claim.limits });
    const jobs = jobsOf([...plain, ...grouped]);
    const contended = (plain[0]?.skipped ?? 0) > 0 || grouped.some((row) => row.wait_ms !== null);
    if (jobs.length === 0 && !contended) return handled;
    if (jobs.length === 0) continue;
    const [acked] = await run(ackJobs, {
      ids: jobs.map((job) => job.id),
      seqs: jobs.map((job) => job.seq),
      leases: [...new Set(jobs.map((job) => job.leaseId))],
    });
    expect(acked!.acked).toBeNull(); // nobody has taken away what it was running
    handled.push(...jobs.map((job) => job.payload as number));
  }
}

/** Runs a statement in a transaction that is rolled back. */
async function rolledBack(client: pg.Client, text: string, values: unknown[]): Promise<void> {
  await client.query('begin');
  await client.query(text, values);
  await client.query('rollback');
}

/** Runs a statement on a connection of its own that is ended while it runs, or just before or after. */
async function killed(client: pg.Client, spare: pg.Client, text: string, values: unknown[]): Promise<void> {
  const { rows } = await spare.query<{ pid: number }>('select pg_backend_pid() as pid');
  const statement = spare
    .query(`begin; ${text.replace('$1', `'${String(values[0])}'`)}; select pg_sleep(5)`)
    .catch(() => undefined);
  await client.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
  await statement;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b);

describe('many who move the same dead letters back, while others handle them', () => {
  it('make one job of each, or handle it: never both, never twice, never neither', async () => {
    const { admins, clients, database, next, schema } = await setup();
    const text = `select ${schema}.redrive(array(select id from ${schema}.jobs where queue_name = $1), null)`;

    const property = fc.asyncProperty(scene, async ({ jobs, groups, actors }) => {
      const [dead, source] = [next(), next()];
      await statementRunner(clients[0]!, database.schema)(openLanes, { queues: [dead] });
      await database.query(
        `insert into ${schema}.jobs (queue_name, payload, group_key, meta)
         select $1, to_jsonb(n), 'group ' || n % nullif($4::integer, 0),
                jsonb_build_object('deadLetter', jsonb_build_object('queue', $2::text))
           from generate_series(0, $3::integer - 1) as n`,
        [dead, source, jobs, groups],
      );
      const handled: number[] = [];
      let moved = 0;
      const act = async (each: Actor, index: number): Promise<void> => {
        const [admin, client] = [admins[index % 2] as JobAdmin, clients[index]!];
        if (each.kind === 'worker') handled.push(...(await work(client, database.schema, dead, each.batch)));
        if (each.kind === 'rollback') await rolledBack(client, text, [dead]);
        if (each.kind === 'killed') await killed(client, await database.client(), text, [dead]);
        if (each.kind !== 'admin') return;
        const { limit, edits } = each;
        const edit = (n: number) => n;
        const { count } = await admin.redrive(
          { queue: dead },
          { ...(limit === undefined ? {} : { limit }), ...(edits ? { edit } : {}) },
        );
        moved += count;
      };
      await Promise.all(actors.map(act));
      const rows = await database.query<{ queue_name: string; payload: number }>(
        `select queue_name, payload from ${schema}.jobs where queue_name in ($1, $2)`,
        [dead, source],
      );
      const there = rows.map((row) => row.payload);
      expect(sorted([...handled, ...there])).toEqual(numbers(jobs));
      expect(rows.filter((row) => row.queue_name === source)).toHaveLength(moved);
      const unlimited = actors.some((each) => each.kind === 'admin' && each.limit === undefined);
      const running = actors.some((each) => each.kind === 'worker');
      expect(unlimited && !running ? moved : jobs).toBe(jobs); // nothing is left behind
    });
    await expect(fc.assert(property, { numRuns: RUNS })).resolves.toBeUndefined();
  });
});

describe('many who let the same failed jobs run again, while others run them', () => {
  it.each(['retry', 'requeue'] as const)('%s each once', async (operation) => {
    const { admins, clients, database, next, schema } = await setup();
    await database.query(`
      create table revived (payload jsonb);
      create function revive() returns trigger language plpgsql as $$
      begin
        insert into revived values (new.payload);
        return null;
      end $$;
      create trigger revive after update on ${schema}.jobs
        for each row when (old.failed_at is not null and new.failed_at is null) execute function revive()`);
    const text = `update ${schema}.jobs set run_count = 0 where queue_name = $1`;

    const property = fc.asyncProperty(scene, async ({ jobs, groups, actors }) => {
      const queue = next();
      await statementRunner(clients[0]!, database.schema)(openLanes, { queues: [queue] });
      await database.query(
        `with emptied as (delete from revived)
         insert into ${schema}.jobs (queue_name, payload, group_key, run_count, failed_at, run_at)
         select $1, to_jsonb(n), 'group ' || n % nullif($3::integer, 0), 1, now(), 'infinity'
           from generate_series(0, $2::integer - 1) as n`,
        [queue, jobs, groups],
      );
      const handled: number[] = [];
      let changed = 0;
      const act = async (each: Actor, index: number): Promise<void> => {
        const [admin, client] = [admins[index % 2] as JobAdmin, clients[index]!];
        if (each.kind === 'worker') handled.push(...(await work(client, database.schema, queue, each.batch)));
        if (each.kind === 'rollback') await rolledBack(client, text, [queue]);
        if (each.kind === 'killed') await killed(client, await database.client(), text, [queue]);
        if (each.kind !== 'admin') return;
        const limit = each.limit === undefined ? {} : { limit: each.limit };
        const edit = each.edits ? { edit: (n: number) => n } : {};
        const { count } = await (operation === 'retry'
          ? admin.retry({ queue }, limit)
          : admin.requeue({ queue }, { ...limit, ...edit }));
        changed += count;
      };
      await Promise.all(actors.map(act));
      const revived = (await database.query<{ payload: number }>('select payload from revived')).map(
        (row) => row.payload,
      );
      expect(new Set(revived).size).toBe(revived.length); // each at most once
      expect(revived).toHaveLength(changed);
      const rows = await database.query<{ payload: number; ready: boolean }>(
        `select payload, failed_at is null as ready from ${schema}.jobs where queue_name = $1`,
        [queue],
      );
      const ready = rows.filter((row) => row.ready).map((row) => row.payload);
      expect(sorted([...handled, ...ready])).toEqual(sorted(revived)); // run once, or to be run
      expect(rows.length - ready.length).toBe(jobs - revived.length);
    });
    await expect(fc.assert(property, { numRuns: RUNS })).resolves.toBeUndefined();
  });
});
