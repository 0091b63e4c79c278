import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Explanation, Job, Reason, Taskmaster } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const HOUR_MS = 3_600_000;

/** A queue, and the jobs that are enqueued to it one after another. */
interface World {
  readonly concurrency: number;
  readonly globalConcurrency: number | undefined;
  readonly groupConcurrency: number;
  readonly rate: number | undefined;
  readonly onFailure: 'skip' | 'block';
  readonly paused: boolean;
  readonly quiet: boolean;
  readonly jobs: readonly {
    readonly group: string | undefined;
    readonly priority: number;
    readonly later: boolean;
    /** It depends on the one before it. */
    readonly follows: boolean;
    readonly fails: boolean;
  }[];
}

const maybe = (percent: number) => fc.nat(99).map((n) => n < percent);

const world: fc.Arbitrary<World> = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  globalConcurrency: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 2 }),
  groupConcurrency: fc.integer({ min: 1, max: 2 }),
  rate: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined, freq: 2 }),
  onFailure: fc.constantFrom('skip', 'block'),
  paused: maybe(10),
  quiet: maybe(10),
  jobs: fc.array(
    fc.record({
      group: fc.constantFrom(undefined, undefined, 'a', 'b'),
      priority: fc.integer({ min: -1, max: 1 }),
      later: maybe(15),
      follows: maybe(20),
      fails: maybe(25),
    }),
    { minLength: 1, maxLength: 10 },
  ),
});

/** What the test knows of a job without asking for an explanation. */
interface Seen {
  readonly id: string;
  readonly state: string;
  readonly group_key: string | null;
  readonly wait_count: number;
}

/** Handlers that run until the test ends them. */
class Running {
  readonly #ends = new Map<string, (fails: boolean) => void>();

  handle = async (job: Job<never>): Promise<void> => {
    const fails = await new Promise<boolean>((resolve) => this.#ends.set(job.id, resolve));
    if (fails) throw new Error('told to fail');
  };

  get ids(): string[] {
    return [...this.#ends.keys()];
  }

  end(id: string, fails: boolean): void {
    this.#ends.get(id)?.(fails);
    this.#ends.delete(id);
  }

  endAll(): void {
    for (const id of this.ids) this.end(id, false);
  }
}

describe('explain', () => {
  it('has a reason for every job that a worker leaves, and the reason is true', async () => {
    const database = await testDatabase();
    const { admin, publisher } = await openEngine(database);
    let number = 0;
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const queue = `q${(number += 1)}`;
        const running = new Running();
        const worker = workerOf(database, queue, given, running);
        try {
          await worker.start();
          if (given.quiet) await hush(worker, admin, queue);
          if (given.paused) await admin.queues.pause(queue);
          const ids = await enqueueAll(publisher, queue, given);
          for (;;) {
            await eventually(() => isExplained(database, admin, queue, given, running));
            const [next] = running.ids;
            if (next === undefined) break;
            running.end(next, given.jobs[ids.indexOf(next)]!.fails);
          }
        } finally {
          running.endAll();
          await worker.close();
        }
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});

function workerOf(database: TestDatabase, queue: string, given: World, running: Running): Taskmaster {
  const worker = engine(database);
  worker.register({
    queue,
    label: queue,
    options: {
      concurrency: given.concurrency,
      groupConcurrency: given.groupConcurrency,
      onFailure: given.onFailure,
      maxAttempts: 1,
      ...(given.globalConcurrency === undefined ? {} : { globalConcurrency: given.globalConcurrency }),
      ...(given.rate === undefined ? {} : { rateLimit: { limit: given.rate, periodMs: HOUR_MS } }),
    },
    handle: (_payload, job) => running.handle(job),
  });
  return worker;
}

async function hush(worker: Taskmaster, admin: Taskmaster['admin'], queue: string): Promise<void> {
  const heard = new Promise<void>((resolve) => {
    worker.events.subscribe((event) => event.type === 'engineQuiet' && resolve());
  });
  const [row] = await admin.workers.list({ queue });
  await admin.workers.quiet(row!.id);
  await heard;
}

async function enqueueAll(
  publisher: Taskmaster['publisher'],
  queue: string,
  given: World,
): Promise<string[]> {
  const ids: string[] = [];
  for (const { group, priority, later, follows } of given.jobs) {
    const before = ids.at(-1);
    const { id } = await publisher.enqueue(
      queue,
      {},
      {
        priority,
        ...(group === undefined ? {} : { group }),
        ...(later ? { delayMs: HOUR_MS } : {}),
        ...(follows && before !== undefined ? { dependsOn: [before] } : {}),
      },
    );
    ids.push(id);
  }
  return ids;
}

/** Nothing is about to start; what is said of every job that is left is so. */
async function isExplained(
  database: TestDatabase,
  admin: Taskmaster['admin'],
  queue: string,
  given: World,
  running: Running,
): Promise<void> {
  const seen = await database.query<Seen & Record<string, unknown>>(
    `select job.id, state.state, job.group_key, job.wait_count
       from "${database.schema}".jobs as job join "${database.schema}".job_states as state on state.id = job.id
      where job.queue_name = $1 order by job.id`,
    [queue],
  );
  const runs = seen.filter((job) => job.state === 'running');
  expect(runs.map((job) => job.id)).toEqual(running.ids.toSorted((a, b) => Number(a) - Number(b)));
  for (const job of seen) {
    const explanation = await admin.jobs.explain(job.id);
    expect(explanation).not.toMatchObject({ reason: 'starting' });
    for (const reason of explanation!.reasons) expectTrue(reason, job, seen, given, explanation!);
  }
}

/** The same, from what the test knows. */
function expectTrue(
  { code }: Reason,
  job: Seen,
  seen: readonly Seen[],
  given: World,
  { text, reasons }: Explanation,
): void {
  const runs = seen.filter((each) => each.state === 'running').length;
  const isBefore = (each: Seen) =>
    each.group_key === job.group_key &&
    Number(each.id) < Number(job.id) &&
    (each.state !== 'failed' || given.onFailure === 'block');
  const truths: Partial<Record<Reason['code'], () => boolean>> = {
    running: () => job.state === 'running',
    failed: () => job.state === 'failed',
    scheduled: () => job.state === 'scheduled',
    dependency: () => job.state === 'blocked' && job.wait_count > 0,
    paused: () => given.paused,
    quietWorkers: () => given.quiet,
    globalConcurrency: () => runs === given.globalConcurrency,
    rateLimit: () => given.rate !== undefined,
    groupOrder: () => job.group_key !== null && seen.filter(isBefore).length >= given.groupConcurrency,
    slot: () => runs >= given.concurrency && reasons.length === 1,
  };
  expect(truths[code]?.(), `${code} of job ${job.id}: ${text}`).toBe(true);
}
