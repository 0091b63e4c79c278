import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type EnqueuedJob, type Flow, type FlowJob, type Job, reject } from '../../lib/engine/index.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { JobTable } from '../integration/support/job-table.js';
import { statementRunner } from '../integration/support/statement-runner.js';
import { SHORT_LEASE, workingEngine } from '../integration/support/working-engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** One job of a graph: what its handler does, and what it depends on, by the distance to earlier ones. */
interface Node {
  readonly fails: boolean;
  readonly parents: readonly number[];
  readonly onParentFailure: 'cancel' | 'fail' | 'ignore';
  /** How long it takes, in milliseconds. */
  readonly ms: number;
}

/** What happens while a graph is worked on. */
interface Trouble {
  /** After so many milliseconds. */
  readonly afterMs: number;
  /** A worker is declared dead and its jobs are given to others, or somebody tells of ends and rolls back. */
  readonly kind: 'die' | 'rollback';
}

const node: fc.Arbitrary<Node> = fc.record({
  fails: fc.boolean(),
  parents: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
  onParentFailure: fc.constantFrom('cancel', 'fail', 'ignore'),
  ms: fc.constantFrom(0, 0, 0, 1, 5),
});

const trouble: fc.Arbitrary<Trouble> = fc.record({
  afterMs: fc.integer({ min: 0, max: 30 }),
  kind: fc.constantFrom('die', 'rollback'),
});

const parentsOf = (graph: readonly Node[], index: number) => [
  ...new Set(graph[index]!.parents.map((distance) => index - distance).filter((parent) => parent >= 0)),
];

type State = 'completed' | 'failed' | 'cancelled';

/** How each job should end. */
function expected(graph: readonly Node[]): State[] {
  const states: State[] = [];
  for (const [index, { fails, onParentFailure }] of graph.entries()) {
    const doomed = parentsOf(graph, index).some((parent) => states[parent] !== 'completed');
    const own: State = fails ? 'failed' : 'completed';
    if (!doomed || onParentFailure === 'ignore') states.push(own);
    else states.push(onParentFailure === 'fail' ? 'failed' : 'cancelled');
  }
  return states;
}

class Saboteur {
  constructor(
    private readonly database: TestDatabase,
    private readonly client: pg.Client,
  ) {}

  async make(troubles: readonly Trouble[]): Promise<void> {
    for (const { afterMs, kind } of troubles) {
      await delay(afterMs);
      await (kind === 'die' ? this.#die() : this.#rollback());
    }
  }

  /** The worker goes on, as a zombie does, until it hears of it. */
  async #die(): Promise<void> {
    const { schema } = this.database;
    await this.client.query('begin');
    await this.client.query(
      `update "${schema}".workers set expires_at = '-infinity'
        where id = (select worker_id from "${schema}".leases order by id limit 1)`,
    );
    await statementRunner(this.client, schema)(rescueJobs, { limit: 100, maxCrashes: 1_000 });
    await this.client.query('commit');
  }

  async #rollback(): Promise<void> {
    await this.client.query('begin');
    await this.client.query(`select "${this.database.schema}".apply_effects(3)`);
    await this.client.query('rollback');
  }
}

describe('a graph of jobs', () => {
  it('ends as the model says, each job after those it depends on, whichever worker dies and whatever rolls back', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const ran: string[] = [];
    const handler = {
      maxAttempts: 1_000, // what is lost with its worker is attempted again
      retention: { completedMs: Infinity, cancelledMs: Infinity },
      handle: async (job: Job<{ fails: boolean; ms: number }>) => {
        ran.push(job.id);
        await delay(job.payload.ms);
        return job.payload.fails ? reject('told to') : undefined;
      },
    };
    const lease = { ...SHORT_LEASE, maxCrashes: 1_000 };
    const [first] = await Promise.all(
      [1, 2].map(() => workingEngine(database, { node: handler }, { lease })),
    );
    const { publisher } = first!.taskmaster;
    const saboteur = new Saboteur(database, await database.client());
    const build = (graph: readonly Node[]) => (flow: Flow) => {
      const made: FlowJob[] = [];
      for (const [index, { fails, ms, onParentFailure }] of graph.entries()) {
        const dependsOn = parentsOf(graph, index).map((parent) => made[parent]!);
        made.push(flow.add('node', { fails, ms }, { dependsOn, onParentFailure }));
      }
    };
    const rolledBack = (graph: readonly Node[]) =>
      publisher.withTransaction(async () => {
        await publisher.flow(build(graph));
        throw new Error('rolled back');
      });
    let stored: readonly EnqueuedJob[] = [];
    const states = async () => {
      const rows = await database.query<{ id: string; state: string }>(
        `select id, state from ${jobs.schema}.finished union all select id, state from ${jobs.schema}.job_states`,
      );
      const byId = new Map(rows.map((row) => [row.id, row.state]));
      return stored.map(({ id }) => byId.get(id));
    };
    const property = fc.asyncProperty(
      fc.array(node, { minLength: 1, maxLength: 25 }),
      fc.array(trouble, { maxLength: 4 }),
      async (graph, troubles) => {
        ran.length = 0;
        await assert.rejects(rolledBack(graph), { message: 'rolled back' });
        stored = await publisher.flow(build(graph));
        await saboteur.make(troubles);
        await expect.poll(states, { timeout: 20_000, interval: 20 }).toEqual(expected(graph));
        for (const [index, { id }] of stored.entries()) {
          const parents = parentsOf(graph, index).map((parent) => ran.indexOf(stored[parent]!.id));
          const place = ran.indexOf(id);
          expect(place === -1 || parents.every((parent) => parent < place)).toBe(true);
        }
        const left = await database.query(
          `select from ${jobs.schema}.dependencies where child_id = any ($1)
          and not exists (select from ${jobs.schema}.jobs as job where job.id = child_id)`,
          [stored.map(({ id }) => id)],
        );
        expect(left).toEqual([]);
      },
    );
    await fc.assert(property, {
      numRuns: Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 15),
      endOnFailure: true,
    });
    expect(stored.length).toBeGreaterThan(0);
  });
});
