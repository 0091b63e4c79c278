import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reject, type FlowJob, type Job } from '../../lib/engine/index.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { testDatabase } from '../support/test-database.js';

/** One job of a graph: what its handler does, and what it depends on, by the distance to earlier ones. */
interface Node {
  readonly fails: boolean;
  readonly parents: readonly number[];
  readonly onParentFailure: 'cancel' | 'fail' | 'ignore';
}

const node: fc.Arbitrary<Node> = fc.record({
  fails: fc.boolean(),
  parents: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
  onParentFailure: fc.constantFrom('cancel', 'fail', 'ignore'),
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

describe('a graph of jobs', () => {
  it('ends as the model says, each job after those it depends on, under several workers', async () => {
    const database = await testDatabase();
    const jobs = new JobTable(database);
    const ran: string[] = [];
    const handler = {
      maxAttempts: 1,
      retention: { completedMs: Infinity, cancelledMs: Infinity },
      handle: (job: Job<{ fails: boolean }>) => {
        ran.push(job.id);
        return job.payload.fails ? reject('told to') : undefined;
      },
    };
    const [first] = await Promise.all([1, 2].map(() => workingEngine(database, { node: handler })));
    const { publisher } = first!.taskmaster;
    const property = fc.asyncProperty(fc.array(node, { minLength: 1, maxLength: 25 }), async (graph) => {
      ran.length = 0;
      const stored = await publisher.flow((flow) => {
        const made: FlowJob[] = [];
        for (const [index, { fails, onParentFailure }] of graph.entries()) {
          const dependsOn = parentsOf(graph, index).map((parent) => made[parent]!);
          made.push(flow.add('node', { fails }, { dependsOn, onParentFailure }));
        }
      });
      const states = async () => {
        const rows = await database.query<{ id: string; state: string }>(
          `select id, state from ${jobs.schema}.finished union all select id, state from ${jobs.schema}.job_states`,
        );
        const byId = new Map(rows.map((row) => [row.id, row.state]));
        return stored.map(({ id }) => byId.get(id));
      };
      await expect.poll(states, { timeout: 10_000, interval: 20 }).toEqual(expected(graph));
      for (const [index, { id }] of stored.entries()) {
        const parents = parentsOf(graph, index).map((parent) => ran.indexOf(stored[parent]!.id));
        const place = ran.indexOf(id);
        expect(place === -1 || parents.every((parent) => parent < place)).toBe(true);
      }
    });
    await fc.assert(property, { numRuns: Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 15) });
    expect(ran.length).toBeGreaterThanOrEqual(0);
  });
});
