import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { ackJobs, claimLimited } from '../../lib/engine/sql/claim-jobs.js';
import { registerWorker } from '../../lib/engine/sql/lease-jobs.js';
import { rescheduleJobs } from '../../lib/engine/sql/reschedule-jobs.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { jobsOf, statementRunner, type RunStatement } from '../integration/support/statement-runner.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const QUEUE = 'mail';
const GROUPS = ['a', 'b', 'c'];

/** What one worker does next. `pick` chooses among the jobs it has. */
type Step =
  | { readonly kind: 'claim' | 'rolledBackClaim'; readonly limit: number }
  | { readonly kind: 'ack' | 'retry' | 'fail'; readonly pick: number }
  | { readonly kind: 'die' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('claim'), limit: fc.integer({ min: 1, max: 8 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rolledBackClaim'), limit: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('ack', 'ack', 'ack', 'retry', 'fail'), pick: fc.nat(7) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die') }) },
) as fc.Arbitrary<Step>;

/** What a queue allows. */
interface Limits {
  readonly maxRunning: number | null;
  readonly slots: number;
  readonly fifo: boolean;
}

const limits: fc.Arbitrary<Limits> = fc.record({
  maxRunning: fc.option(fc.integer({ min: 1, max: 6 }), { nil: null }),
  slots: fc.integer({ min: 1, max: 3 }),
  fifo: fc.boolean(),
});

interface Held {
  readonly id: string;
  readonly seq: string;
  readonly leaseId: string;
}

/** One worker on a connection of its own; late settlements of a life before are its too. */
class Worker {
  readonly #held: Held[] = [];
  #id = 0;

  constructor(
    private readonly client: pg.Client,
    private readonly run: RunStatement,
    private readonly schema: string,
  ) {}

  async register(): Promise<void> {
    const [row] = await this.run(registerWorker, { name: 'test', host: 'here', pid: 1, ttlMs: 60_000 });
    this.#id = row!.id;
  }

  async apply(each: Step): Promise<void> {
    switch (each.kind) {
      case 'claim':
        return void this.#held.push(...(await this.#claim(each.limit)));
      case 'rolledBackClaim':
        await this.client.query('begin');
        await this.#claim(each.limit);
        return void (await this.client.query('rollback'));
      case 'ack':
        return this.#settle(each.pick, (job, leases) =>
          this.run(ackJobs, { ids: [job.id], seqs: [job.seq], leases }),
        );
      case 'retry':
        return this.#settle(each.pick, (job, leases) => this.#reschedule(job, 0, leases));
      case 'fail':
        return this.#settle(each.pick, (job, leases) => this.#reschedule(job, null, leases));
      case 'die':
        return this.#die();
    }
  }

  async #claim(limit: number): Promise<Held[]> {
    const args = { workerId: this.#id, queues: [QUEUE], limits: [limit], frees: [limit] };
    const rows = await this.run(claimLimited, args);
    return rows.flatMap((row) => jobsOf([row])).map(({ id, seq, leaseId }) => ({ id, seq, leaseId }));
  }

  async #settle(pick: number, send: (job: Held, leases: string[]) => Promise<unknown>): Promise<void> {
    const [job] = this.#held.splice(pick % Math.max(1, this.#held.length), 1);
    if (job === undefined) return;
    const last = !this.#held.some((other) => other.leaseId === job.leaseId);
    await send(job, last ? [job.leaseId] : []);
  }

  #reschedule({ id, seq }: Held, delayMs: number | null, leases: string[]): Promise<unknown> {
    const jobs = [{ id, seq, delayMs, counted: true, error: null }];
    return this.run(rescheduleJobs, { jobs, leases, workerId: this.#id });
  }

  async #die(): Promise<void> {
    await this.client.query(`update "${this.schema}".workers set expires_at = '-infinity' where id = $1`, [
      this.#id,
    ]);
    await this.run(rescueJobs, { limit: 100, maxCrashes: 1_000 });
    await this.register();
  }
}

/** When each attempt began and ended, in the transactions that did it. */
async function audit(database: TestDatabase): Promise<void> {
  const schema = `"${database.schema}"`;
  await database.query(`
    create table attempt (seq bigint primary key, began timestamptz not null default clock_timestamp(), ended timestamptz, group_key text, job_id bigint);
    create function attempt_begins() returns trigger language plpgsql as $$
    begin
      insert into attempt (seq, group_key, job_id)
      select j.seq, j.group_key, j.id from ${schema}.jobs as j where j.id = any (new.ids);
      return null;
    end $$;
    create trigger attempt after insert on ${schema}.leases for each row execute function attempt_begins();
    create function attempt_ends() returns trigger language plpgsql as $$
    begin
      update attempt set ended = clock_timestamp() where seq = old.seq and ended is null;
      return null;
    end $$;
    create trigger attempt after delete or update of seq on ${schema}.jobs for each row execute function attempt_ends()`);
}

/** The most attempts at one moment, in all and of one group. */
async function most(database: TestDatabase): Promise<{ total: number; group: number }> {
  const [row] = await database.query<{ total: number; grouped: number }>(`
    select coalesce(max(n), 0)::integer as total, coalesce(max(g), 0)::integer as grouped
      from (select (select count(*) from attempt as other where other.began <= a.began and coalesce(other.ended, 'infinity') > a.began) as n,
                   (select count(*) from attempt as other where other.group_key = a.group_key
                      and other.began <= a.began and coalesce(other.ended, 'infinity') > a.began) as g
              from attempt as a) as counted`);
  return { total: row!.total, group: row!.grouped };
}

/** Attempts at a member of a group while one that was enqueued before it had not ended for good. */
async function outOfOrder(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ count: number }>(`
    select count(*)::integer as count from attempt as late
     where exists (
       select from attempt as early
        where early.group_key = late.group_key and early.job_id < late.job_id and early.began > late.began)`);
  return row!.count;
}

describe('the limits of a queue under several workers', () => {
  it('are never exceeded, and groups keep their order, whatever dies and rolls back', async () => {
    const database = await testDatabase();
    await audit(database);
    const clients = await Promise.all([1, 2, 3].map(() => database.client()));
    const schema = `"${database.schema}"`;
    let history = 0;
    const property = fc.asyncProperty(
      limits,
      fc.tuple(...clients.map(() => fc.array(step, { minLength: 5, maxLength: 25 }))),
      async ({ maxRunning, slots, fifo }, scripts) => {
        history += 1;
        await database.query(`
          truncate attempt; truncate ${schema}.jobs, ${schema}.leases, ${schema}.workers, ${schema}.lanes;
          delete from ${schema}.queues`);
        await database.query(
          `insert into ${schema}.queues (name, max_running, group_slots, group_fifo) values ('mail', $1, $2, $3)`,
          [maxRunning, slots, fifo],
        );
        await database.query(
          `insert into ${schema}.jobs (queue_name, payload, group_key)
           select 'mail', '1', ($1::text[])[1 + n % 3] from generate_series(1, 40) as n`,
          [GROUPS],
        );
        const workers = clients.map(
          (client) => new Worker(client, statementRunner(client, database.schema), database.schema),
        );
        for (const worker of workers) await worker.register();
        await Promise.all(
          workers.map(async (worker, index) => {
            for (const each of scripts[index]!) await worker.apply(each);
          }),
        );
        const seen = await most(database);
        expect(seen.group).toBeLessThanOrEqual(slots);
        expect(seen.total).toBeLessThanOrEqual(maxRunning ?? Infinity);
        expect(fifo && slots === 1 ? await outOfOrder(database) : 0).toBe(0);
      },
    );
    await fc.assert(property, {
      numRuns: Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 30),
      endOnFailure: true,
    });
    expect(history).toBeGreaterThan(1);
  });
});
