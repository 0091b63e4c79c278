import assert from 'node:assert/strict';
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { MissedPolicy } from '../../lib/engine/index.js';
import { firingOf, type ScheduleFacts } from '../../lib/engine/schedule/firing.js';
import { dueSchedules, type FiredRow, fireSchedules } from '../../lib/engine/sql/fire-schedules.js';
import { statementRunner } from '../integration/support/statement-runner.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const MINUTE = 60_000;
/** Between two due times, in minutes. Time passes by whole minutes, so what really passes meanwhile makes no difference. */
const EVERY = 10;
const NAME = 'digest';

/** One thing that happens to a schedule. `firer` is one of three processes, `how` the end of its transaction. */
type Step =
  | { readonly kind: 'pass' | 'setBack'; readonly minutes: number }
  | { readonly kind: 'look' | 'fire' | 'tick'; readonly firer: number }
  | { readonly kind: 'end'; readonly firer: number; readonly how: 'commit' | 'rollback' | 'kill' }
  | { readonly kind: 'pause' | 'resume' | 'edit' | 'replan' | 'again' };

/** `replan` and `again`: somebody has it planned anew, or says that it was due from the beginning. */
const WRITES = ['pause', 'resume', 'resume', 'edit', 'replan', 'again'] as const;

const firer = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 35 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('setBack' as const), minutes: fc.integer({ min: 1, max: 25 }) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('look' as const), firer }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('fire' as const), firer }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('tick' as const), firer }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      firer,
      how: fc.oneof(
        { weight: 4, arbitrary: fc.constant('commit' as const) },
        { weight: 2, arbitrary: fc.constant('rollback' as const) },
        { weight: 1, arbitrary: fc.constant('kill' as const) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom(...WRITES) }),
  },
);

/** A schedule as it should be; due times are numbers of intervals. */
interface Model {
  /** Minutes since it was stored. */
  readonly elapsed: number;
  readonly revision: number;
  /** `undefined`: to be planned. */
  readonly next: number | undefined;
  readonly lastDue: number;
  readonly paused: boolean;
  readonly fired: readonly number[];
}

const due = ({ elapsed, next, paused }: Model) => !paused && (next === undefined || next * EVERY <= elapsed);

/** What a firer makes of the state that it has looked at. */
function planOf({ elapsed, lastDue, next }: Model, missed: MissedPolicy) {
  const last = Math.floor(elapsed / EVERY);
  const all = next === undefined ? [] : Array.from({ length: last - next + 1 }, (_, index) => next + index);
  const dueTimes = {
    all,
    once: all.slice(-1),
    skip: all.slice(-1).filter((time) => time * EVERY === elapsed),
  }[missed];
  return { dueTimes, next: Math.max(last, lastDue) + 1 };
}

interface Firer {
  client: pg.Client;
  /** The state it has looked at, as it is and as it should be. */
  looked?: { facts: ScheduleFacts; readonly model: Model } | undefined;
  /** In a transaction: whether that holds the row, and what it makes of the schedule when it commits. */
  open?: { readonly locked: boolean; readonly committed: Model | undefined } | undefined;
}

/** The real schedule, and three processes that fire it. */
class World {
  model: Model = { elapsed: 0, revision: 0, next: undefined, lastDue: 0, paused: false, fired: [] };
  readonly #schema: string;

  private constructor(
    private readonly database: TestDatabase,
    private readonly missed: MissedPolicy,
    private readonly firers: readonly Firer[],
  ) {
    this.#schema = `"${database.schema}"`;
  }

  static async create(
    database: TestDatabase,
    missed: MissedPolicy,
    firers: readonly Firer[],
  ): Promise<World> {
    const schema = `"${database.schema}"`;
    await database.query(`truncate ${schema}.jobs, ${schema}.schedules, ${schema}.schedule_jobs`);
    await database.query(
      `insert into ${schema}.schedules (name, queue_name, every_ms, anchor_at, missed)
       values ($1, 'digest', $2, date_trunc('milliseconds', now()), $3)`,
      [NAME, EVERY * MINUTE, missed],
    );
    return new World(database, missed, firers);
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'pass':
        return this.#pass(step.minutes);
      case 'setBack':
        return this.#pass(-Math.min(step.minutes, this.model.elapsed));
      case 'look':
        return this.#look(this.firers[step.firer]!);
      case 'fire':
        return this.#fire(this.firers[step.firer]!);
      case 'tick':
        return this.#tick(this.firers[step.firer]!);
      case 'end':
        return this.#end(this.firers[step.firer]!, step.how);
      case 'pause':
        return this.#write('paused_at = coalesce(paused_at, now())', {
          paused: true,
          next: this.model.paused ? this.model.next : undefined,
        });
      case 'resume':
        return this.#write('paused_at = null', { paused: false });
      case 'edit':
        return this.#write(`payload = payload || '{}'`, {});
      case 'replan':
        return this.#write(`next_run_at = '-infinity'`, { next: undefined });
      case 'again':
        return this.#write(`next_run_at = anchor_at + interval '${EVERY} minutes'`, { next: 1 });
    }
  }

  /** Every transaction ends, and whoever is left fires what is due. */
  async settle(): Promise<void> {
    for (const each of this.firers) await this.#end(each, 'rollback');
    const [last] = this.firers;
    for (let round = 0; due(this.model); round += 1) {
      assert.ok(round < 3, 'still due');
      await this.#tick(last!);
    }
  }

  async check(): Promise<void> {
    const [row] = await this.database.query<{
      revision: string;
      next: number | null;
      last: number;
      paused: boolean;
      fired: number[];
    }>(
      `select revision, paused_at is not null as paused, ${this.#index("nullif(next_run_at, '-infinity')")} as next,
              coalesce(${this.#index('last_due_at')}, 0) as last,
              coalesce((select json_agg(${this.#index("(job.meta ->> 'scheduledFor')::timestamptz")} order by job.id) from ${this.#schema}.jobs as job), '[]') as fired
         from ${this.#schema}.schedules`,
    );
    const { revision, next, lastDue, paused, fired } = this.model;
    const real = { ...row, revision: Number(row!.revision) };
    assert.deepEqual(real, { revision, next: next ?? null, last: lastDue, paused, fired });
    assert.equal(new Set(fired).size, fired.length);
    assert.ok(fired.every((time) => time * EVERY <= this.model.elapsed || this.#wasSetBack));
  }

  #wasSetBack = false;

  #index(instant: string): string {
    return `(extract(epoch from ${instant} - anchor_at) / ${EVERY * 60})::double precision`;
  }

  get #anyOpen(): boolean {
    return this.firers.some(({ open }) => open !== undefined);
  }

  /** The database's clock cannot be set, so everything else moves. It is the same revision: nobody has written. */
  async #pass(minutes: number): Promise<void> {
    if (this.#anyOpen) return;
    if (minutes < 0) this.#wasSetBack = true;
    const by = `- interval '${minutes} minutes'`;
    await this.database.query(
      `begin; set local session_replication_role = replica;
       update ${this.#schema}.schedules set anchor_at = anchor_at ${by}, next_run_at = next_run_at ${by}, last_due_at = last_due_at ${by};
       update ${this.#schema}.jobs set meta = jsonb_set(meta, '{scheduledFor}', to_jsonb((meta ->> 'scheduledFor')::timestamptz ${by}));
       commit`,
    );
    this.model = { ...this.model, elapsed: this.model.elapsed + minutes };
    for (const { looked } of this.firers)
      if (looked !== undefined) looked.facts = moved(looked.facts, -minutes * MINUTE);
  }

  /** As an undisturbed process does. */
  async #tick(firer: Firer): Promise<void> {
    if (firer.open !== undefined) return;
    await this.#look(firer);
    await this.#fire(firer);
    await this.#end(firer, 'commit');
  }

  async #look(firer: Firer): Promise<void> {
    if (firer.open !== undefined) return;
    const rows = await statementRunner(firer.client, this.database.schema)(dueSchedules, { limit: 10 });
    assert.equal(rows.length, due(this.model) ? 1 : 0);
    const [row] = rows;
    firer.looked = row === undefined ? undefined : { facts: this.#onTheMinute(row.facts), model: this.model };
  }

  /** As if no time had passed but what the steps say. */
  #onTheMinute(text: string): ScheduleFacts {
    const facts = JSON.parse(text) as ScheduleFacts;
    const now = new Date(facts.anchorAt).getTime() + this.model.elapsed * MINUTE;
    return { ...facts, now: new Date(now).toISOString() };
  }

  async #fire(firer: Firer): Promise<void> {
    const { looked } = firer;
    if (firer.open !== undefined || looked === undefined) return;
    await firer.client.query('begin');
    const firings = [firingOf(looked.facts)];
    const rows = await statementRunner(firer.client, this.database.schema)(fireSchedules, { firings });
    const { dueTimes, next } = planOf(looked.model, this.missed);
    const fresh = dueTimes.filter((time) => time > looked.model.lastDue);
    const held = this.firers.some(({ open }) => open?.locked === true);
    const early = (dueTimes.at(-1) ?? 0) * EVERY > this.model.elapsed;
    const locked = this.model.revision === looked.model.revision && !this.model.paused && !held;
    const mayFire = locked && !early;
    assert.equal(rows.length, mayFire ? (dueTimes.length === 0 ? 1 : fresh.length) : 0);
    firer.looked = undefined;
    firer.open = {
      locked,
      committed: mayFire
        ? {
            ...this.model,
            revision: this.model.revision + 1,
            next,
            lastDue: Math.max(this.model.lastDue, ...fresh),
            fired: [...this.model.fired, ...fresh],
          }
        : undefined,
    };
    this.#assertRows(rows, mayFire ? fresh : []);
  }

  #assertRows(rows: readonly FiredRow[], fresh: readonly number[]): void {
    const fired = rows.filter((row) => row.due !== null);
    assert.equal(fired.length, fresh.length);
    assert.ok(fired.every((row) => row.job !== null));
  }

  async #end(firer: Firer, how: 'commit' | 'rollback' | 'kill'): Promise<void> {
    if (firer.open === undefined) return;
    if (how === 'kill') await this.#kill(firer);
    else await firer.client.query(how);
    if (how === 'commit') this.model = firer.open.committed ?? this.model;
    firer.open = undefined;
  }

  async #kill(firer: Firer): Promise<void> {
    const { rows } = await firer.client.query<{ pid: number }>('select pg_backend_pid() as pid');
    await this.database.query('select pg_terminate_backend($1, 5000)', [rows[0]!.pid]);
    firer.client = await this.database.client();
  }

  async #write(change: string, then: Partial<Model>): Promise<void> {
    if (this.#anyOpen) return;
    await this.database.query(`update ${this.#schema}.schedules set ${change}`);
    this.model = { ...this.model, ...then, revision: this.model.revision + 1 };
  }
}

function moved(facts: ScheduleFacts, ms: number): ScheduleFacts {
  const by = (iso: string) => new Date(new Date(iso).getTime() + ms).toISOString();
  const { anchorAt, lastDueAt, nextRunAt, now } = facts;
  return {
    ...facts,
    anchorAt: by(anchorAt),
    lastDueAt: lastDueAt === null ? null : by(lastDueAt),
    nextRunAt: nextRunAt === null ? null : by(nextRunAt),
    now: by(now),
  };
}

const RUNS = { numRuns: 50, interruptAfterTimeLimit: 12_000 };

describe.each(['all', 'once', 'skip'] as const)('a schedule with missed: %s', (missed) => {
  it('fires each due time at most once, and as the model says, whoever fires, fails, dies, pauses, edits and sets clocks', async () => {
    const database = await testDatabase();
    const clients = await Promise.all([1, 2, 3].map(() => database.client()));
    const firers: Firer[] = clients.map((client) => ({ client }));
    const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
      for (const each of firers) each.looked = undefined;
      const world = await World.create(database, missed, firers);
      try {
        for (const each of steps) {
          await world.step(each);
          await world.check();
        }
      } finally {
        await world.settle();
      }
      await world.check();
    });
    await expect(fc.assert(property, RUNS)).resolves.toBeUndefined();
  });
});
