import assert from 'node:assert/strict';
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { OverlapPolicy } from '../../lib/engine/index.js';
import { releaseScheduleJobs } from '../../lib/engine/sql/fire-schedules.js';
import { statementRunner } from '../integration/support/statement-runner.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** One thing that happens to the jobs of a schedule; `which` chooses among those it can happen to. */
type Step =
  | { readonly kind: 'fire' }
  /** Of an application that is rolled back. */
  | { readonly kind: 'fireInVain' }
  | { readonly kind: 'release'; readonly processes: number }
  | { readonly kind: 'ack' | 'fail' | 'retry' | 'promote' | 'delete'; readonly which: number };

const which = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'fire' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'fireInVain' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      processes: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('ack' as const, 'fail' as const, 'retry' as const, 'promote' as const),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), which }) },
);

type State = 'ready' | 'scheduled' | 'blocked' | 'failed';
interface JobModel {
  readonly number: number;
  readonly state: State;
}

/** What SQL makes of a job at each end of an attempt. */
const CHANGES = {
  ack: { from: ['ready'], to: undefined, sql: 'delete from $jobs where id = $1' },
  fail: {
    from: ['ready'],
    to: 'failed',
    sql: `update $jobs set run_at = 'infinity', failed_at = now(), run_count = 1 where id = $1`,
  },
  retry: {
    from: ['ready'],
    to: 'scheduled',
    sql: `update $jobs set run_at = now() + interval '1 hour', run_count = 1 where id = $1`,
  },
  promote: { from: ['scheduled'], to: 'ready', sql: 'update $jobs set run_at = null where id = $1' },
  delete: {
    from: ['ready', 'scheduled', 'blocked', 'failed'],
    to: undefined,
    sql: 'delete from $jobs where id = $1',
  },
} as const satisfies Record<string, { from: readonly State[]; to: State | undefined; sql: string }>;

class World {
  jobs: JobModel[] = [];
  #fired = 0;

  constructor(
    private readonly database: TestDatabase,
    private readonly clients: readonly pg.Client[],
    private readonly overlap: OverlapPolicy,
  ) {}

  get #schema(): string {
    return `"${this.database.schema}"`;
  }

  async begin(): Promise<void> {
    const schema = this.#schema;
    await this.database.query(
      `truncate ${schema}.jobs, ${schema}.schedules, ${schema}.schedule_jobs restart identity`,
    );
    await this.database.query(
      `insert into ${schema}.schedules (name, queue_name, cron, overlap) values ('digest', 'digest', '0 0 1 1 *', $1)`,
      [this.overlap],
    );
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'fire':
        return this.#fire();
      case 'fireInVain':
        return this.#fireInVain();
      case 'release':
        return this.#release(step.processes);
      case 'ack':
      case 'fail':
      case 'retry':
      case 'promote':
      case 'delete':
        return this.#change(step.kind, step.which);
    }
  }

  async check(): Promise<void> {
    const rows = await this.database.query<{ id: string; state: State }>(
      `select id, state from ${this.#schema}.job_states order by id`,
    );
    assert.deepEqual(
      rows.map(({ state }) => state),
      this.jobs.map(({ state }) => state),
    );
    const alive = this.jobs.filter(({ state }) => state === 'ready' || state === 'scheduled');
    assert.ok(this.overlap === 'allow' || alive.length <= 1);
    const blocked = this.jobs.filter(({ state }) => state === 'blocked');
    const last = Math.max(0, ...alive.map(({ number }) => number));
    assert.ok(blocked.every(({ number }) => number > last));
  }

  async #fire(): Promise<void> {
    const [row] = await this.database.query<{ id: string | null }>(
      `select ${this.#schema}.trigger_schedule('digest') as id`,
    );
    const alive = this.jobs.some(({ state }) => state !== 'failed');
    if (this.overlap === 'skip' && alive) return assert.equal(row!.id, null);
    assert.notEqual(row!.id, null);
    const state = this.overlap === 'queue' && alive ? 'blocked' : 'ready';
    this.jobs.push({ number: (this.#fired += 1), state });
  }

  async #fireInVain(): Promise<void> {
    const [client] = this.clients;
    await client!.query('begin');
    await client!.query(`select ${this.#schema}.trigger_schedule('digest')`);
    await client!.query('rollback');
  }

  /** By several processes at once: no more is released than by one. */
  async #release(processes: number): Promise<void> {
    const answers = this.clients
      .slice(0, processes)
      .map((client) => statementRunner(client, this.database.schema)(releaseScheduleJobs, undefined));
    const released = (await Promise.all(answers)).flat().length;
    const first = this.jobs.find(({ state }) => state === 'blocked');
    const free = !this.jobs.some(({ state }) => state === 'ready' || state === 'scheduled');
    assert.equal(released, first !== undefined && free ? 1 : 0);
    if (released > 0) this.#replace(first!, 'ready');
  }

  async #change(kind: keyof typeof CHANGES, which: number): Promise<void> {
    const { from, sql, to } = CHANGES[kind];
    const possible = this.jobs.filter(({ state }) => (from as readonly State[]).includes(state));
    const job = possible[which % possible.length];
    if (job === undefined) return;
    const rows = await this.database.query<{ id: string }>(`select id from ${this.#schema}.jobs order by id`);
    const { id } = rows[this.jobs.indexOf(job)]!;
    await this.database.query(
      sql.replace('$jobs', () => `${this.#schema}.jobs`),
      [id],
    );
    this.#replace(job, to);
  }

  #replace(job: JobModel, state: State | undefined): void {
    this.jobs = this.jobs.flatMap((each) =>
      each !== job ? [each] : state === undefined ? [] : [{ ...job, state }],
    );
  }
}

describe.each(['allow', 'skip', 'queue'] as const)('a schedule with overlap: %s', (overlap) => {
  it('has its jobs alive, blocked and skipped as the model says, whoever fires, fails, retries, deletes and releases', async () => {
    const database = await testDatabase();
    const clients = await Promise.all([1, 2, 3].map(() => database.client()));
    const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
      const world = new World(database, clients, overlap);
      await world.begin();
      for (const each of steps) {
        await world.step(each);
        await world.check();
      }
    });
    await expect(
      fc.assert(property, { numRuns: 25, interruptAfterTimeLimit: 10_000 }),
    ).resolves.toBeUndefined();
  });
});
