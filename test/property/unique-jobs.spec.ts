import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ackJobs, claimJobs } from '../../lib/engine/sql/claim-jobs.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { openLanes, sweepJobs } from '../../lib/engine/sql/sweep-jobs.js';
import type { Publisher } from '../../lib/engine/index.js';
import { jobsOf, statementRunner, type RunStatement } from '../integration/support/statement-runner.js';
import { openEngine } from '../support/engine.js';
import { testDatabase } from '../support/test-database.js';

const KEYS = ['a', 'b'];

type Step =
  | { readonly kind: 'merge' | 'mergeInTransaction' | 'rolledBack' | 'many'; readonly key: number }
  | { readonly kind: 'work' | 'rolledBackClaim' | 'die' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('merge', 'mergeInTransaction', 'rolledBack', 'many'),
      key: fc.nat(1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('work', 'work', 'rolledBackClaim', 'die') }) },
) as fc.Arbitrary<Step>;

/** What was committed, and what came out: each number once. */
interface Ledger {
  next: number;
  readonly committed: number[];
  readonly handled: number[];
}

class Actor {
  #id = 0;

  constructor(
    private readonly publisher: Publisher,
    private readonly run: RunStatement,
    private readonly query: (text: string) => Promise<Record<string, unknown>[]>,
    private readonly ledger: Ledger,
    private readonly schema: string,
  ) {}

  /** Becomes a worker that nobody knows yet. */
  async register(): Promise<void> {
    const [row] = await this.query(
      `insert into ${this.schema}.workers (name, expires_at) values ('actor', 'infinity') returning id`,
    );
    this.#id = row!['id'] as number;
  }

  get #claim() {
    return { workerId: this.#id, queues: ['mail'], limits: [5] };
  }

  async apply(each: Step): Promise<void> {
    switch (each.kind) {
      case 'merge':
        return this.#enqueue(each.key);
      case 'many':
        return this.#enqueueMany(each.key);
      case 'mergeInTransaction':
        return this.publisher.withTransaction(() => this.#enqueue(each.key));
      case 'rolledBack':
        return this.#rolledBack(each.key);
      case 'work':
        return this.#work();
      case 'rolledBackClaim':
        await this.query('begin');
        await this.run(claimJobs, this.#claim);
        return void (await this.query('rollback'));
      case 'die':
        return this.#die();
    }
  }

  /** With what it has claimed, which others get. */
  async #die(): Promise<void> {
    await this.run(claimJobs, this.#claim);
    await this.query(`update ${this.schema}.workers set expires_at = '-infinity' where id = ${this.#id}`);
    await this.run(rescueJobs, { limit: 100, maxCrashes: 1_000 });
    await this.register();
  }

  async #work(): Promise<void> {
    const found = [
      ...jobsOf(await this.run(claimJobs, this.#claim)),
      ...jobsOf(await this.run(sweepJobs, { ...this.#claim, deep: true })),
    ];
    for (const job of found) this.ledger.handled.push(...(job.payload as number[]));
    await this.run(ackJobs, {
      ids: found.map((job) => job.id),
      seqs: found.map((job) => job.seq),
      leases: found.map((job) => job.leaseId),
    });
  }

  async #enqueue(key: number): Promise<void> {
    const n = this.#number();
    await this.publisher.enqueue('mail', [n], merging(key));
    this.ledger.committed.push(n);
  }

  async #enqueueMany(key: number): Promise<void> {
    const numbers = [this.#number(), this.#number(), this.#number()];
    await this.publisher.enqueueMany(
      'mail',
      numbers.map((n) => [n]),
      merging(key),
    );
    this.ledger.committed.push(...numbers);
  }

  async #rolledBack(key: number): Promise<void> {
    const rolledBack = this.publisher.withTransaction(async () => {
      await this.publisher.enqueue('mail', [this.#number()], merging(key));
      throw new Error('rolled back');
    });
    await assert.rejects(rolledBack, { message: 'rolled back' });
  }

  #number(): number {
    this.ledger.next += 1;
    return this.ledger.next;
  }
}

const merging = (key: number) => ({ unique: { key: KEYS[key]!, onConflict: 'merge' as const } });

describe('unique jobs under several publishers and workers', () => {
  it('lose nothing that was merged into them, and hand out nothing twice, whatever rolls back and dies', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const clients = await Promise.all([1, 2, 3].map(() => database.client()));
    const schema = `"${database.schema}"`;
    await statementRunner(clients[0]!, database.schema)(openLanes, { queues: ['mail'] });
    const property = fc.asyncProperty(
      fc.tuple(...clients.map(() => fc.array(step, { minLength: 3, maxLength: 15 }))),
      async (scripts) => {
        await database.query(`truncate ${schema}.jobs, ${schema}.leases, ${schema}.workers`);
        const ledger: Ledger = { next: 0, committed: [], handled: [] };
        const actors = clients.map(
          (client) =>
            new Actor(
              publisher,
              statementRunner(client, database.schema),
              async (text) => (await client.query<Record<string, unknown>>(text)).rows,
              ledger,
              schema,
            ),
        );
        for (const actor of actors) await actor.register();
        await Promise.all(
          actors.map(async (actor, index) => {
            for (const each of scripts[index]!) await actor.apply(each);
          }),
        );
        const [live] = await database.query<{ most: number }>(
          `select coalesce(max(n), 0)::integer as most from (select count(*) as n from ${schema}.jobs where unique_key is not null group by unique_key) as counted`,
        );
        expect(live!.most).toBeLessThanOrEqual(1);
        await actors[0]!.apply({ kind: 'die' }); // and with it what a rescue had to leave to the next one
        for (let n = 0; n < 3; n += 1) await actors[0]!.apply({ kind: 'work' });
        const ascending = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);
        expect(ascending(ledger.handled)).toEqual(ascending(ledger.committed));
      },
    );
    const numRuns = Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 20);
    await expect(fc.assert(property, { numRuns, endOnFailure: true })).resolves.toBeUndefined();
  });
});
