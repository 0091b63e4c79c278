import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  DatabaseUnreachableError,
  snooze,
  type Job,
  type TaskmasterOptions,
} from '../../lib/engine/index.js';
import { FaultyProxy, faultyProxy } from '../support/faulty-proxy.js';
import { openEngine } from '../support/engine.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { audited, NO_VIOLATIONS } from './support/audit.js';
import { Inserters, prepareInserters } from './support/inserters.js';
import { JobTable } from './support/job-table.js';
import { workerChild } from './support/worker-child.js';
import { workingEngine, type HandlerEntry, type WorkingEngine } from './support/working-engine.js';

/** How long the chaos goes on. */
const SECONDS = Number(process.env['TASKMASTER_STRESS_SECONDS'] ?? 20);
const DRAIN_MS = 60_000;

/** Jobs lose their workers again and again here, through no fault of theirs. */
const LEASE = { ttlMs: 1_500, heartbeatMs: 300, heartbeat: 'main', maxCrashes: 1_000 } as const;
const OPTIONS: Partial<TaskmasterOptions> = {
  lease: LEASE,
  connectTimeoutMs: 10_000,
  shutdown: { drainTimeoutMs: 1_000 },
};

/** One run of a handler, by the monotonic clock. */
interface Run {
  readonly jobId: string;
  readonly by: 'steady' | 'mortal';
  readonly startedAt: number;
  endedAt: number;
}

describe('everything at once', () => {
  it(
    `acks every committed job exactly once, and hands no token out twice, for ${SECONDS} seconds`,
    async () => {
      const database = await testDatabase();
      const jobs = new JobTable(database);
      await prepareInserters(database);
      await database.query('create table effects (job_id bigint)');
      const audit = await audited(database);
      const chaos = new Chaos(database);
      const publishing = await openEngine(database);
      const inserters = new Inserters(database, publishing.publisher);
      await chaos.begin();
      const inserting = inserters.run();
      inserting.catch(() => undefined); // awaited below, unless something else fails first
      await chaos.goOn(SECONDS * 1_000);
      inserters.stop();
      const inserted = await inserting;
      await jobs.empty({ timeoutMs: DRAIN_MS });
      await chaos.end();

      const violations = await audit.violations();
      const counts = await audit.counts();
      const seen = chaos.summary();
      console.info({ ...inserted, ...counts, ...seen });

      expect(violations).toEqual(NO_VIOLATIONS);
      expect(counts.acked).toBe(counts.inserted);
      expect(counts.inserted).toBeGreaterThanOrEqual(inserted.committed);
      expect(counts.inserted).toBeLessThanOrEqual(inserted.committed + inserted.unknown);
      expect(await effectsOf(database)).toEqual({ jobs: await effectJobs(database), twice: 0 });
      // A process that is starved for longer than its lease is declared dead while it runs jobs, and they overlap with
      // their next run: it says so. Without that nothing may.
      const excused = seen.steadyLost > 0;
      expect(excused ? [0, 0] : [seen.overlaps, seen.ackedTwice]).toEqual([0, 0]);
      // that the chaos was one
      expect(inserted.rolledBack).toBeGreaterThan(0);
      for (const happened of [seen.rescued, seen.leaseLost, seen.retried, seen.killed, seen.cutOff])
        expect(happened).toBeGreaterThan(0);
    },
    SECONDS * 1_000 + DRAIN_MS + 60_000,
  );
});

/** Workers that live, workers that die, and workers that are cut off and come back too late. */
class Chaos {
  readonly #runs: Run[] = [];
  readonly #steady: WorkingEngine[] = [];
  readonly #mortal: WorkingEngine[] = [];
  #killed = 0;
  #ended = 0;
  #cutOff = 0;

  constructor(private readonly database: TestDatabase) {}

  async begin(): Promise<void> {
    for (let n = 1; n <= 3; n += 1) {
      const name = `steady ${n}`;
      this.#steady.push(await workingEngine(this.database, this.#handlers('steady'), { ...OPTIONS, name }));
    }
  }

  async goOn(ms: number): Promise<void> {
    const until = performance.now() + ms;
    await Promise.all([
      this.#again(until, () => this.#zombie()),
      this.#again(until, () => this.#killProcess()),
      this.#again(until, () => this.#endConnections()),
    ]);
  }

  async end(): Promise<void> {
    for (const { taskmaster } of [...this.#steady, ...this.#mortal]) await taskmaster.close();
  }

  summary() {
    const all = [...this.#steady, ...this.#mortal].map((engine) => engine.log);
    const count = (type: 'retried' | 'snoozed' | 'rescued' | 'leaseLost' | 'completed') =>
      all.reduce((sum, log) => sum + log.of(type).values.length, 0);
    const acks = this.#steady.flatMap(({ log }) => log.of('completed').values.map((event) => event.jobId));
    return {
      runs: this.#runs.length,
      completed: count('completed'),
      retried: count('retried'),
      snoozed: count('snoozed'),
      rescued: count('rescued'),
      leaseLost: count('leaseLost'),
      killed: this.#killed,
      cutOff: this.#cutOff,
      connectionsEnded: this.#ended,
      ackedTwice: acks.length - new Set(acks).size,
      steadyLost: this.#steady.reduce((sum, { log }) => sum + log.of('workerLost').values.length, 0),
      overlaps: overlaps(this.#runs),
    };
  }

  async #again(until: number, step: () => Promise<void>): Promise<void> {
    while (performance.now() < until) await step();
  }

  /** Works, is cut off for longer than its lease, and comes back to settle what it has done meanwhile. */
  async #zombie(): Promise<void> {
    const { proxy, connection } = await faultyProxy(this.database);
    const name = `mortal ${this.#mortal.length}`;
    const starting = workingEngine(this.database, this.#handlers('mortal'), { ...OPTIONS, connection, name });
    // Its connections are ended while it boots, too: a boot that meets that for too long fails, as it should.
    const engine = await starting.catch((error: unknown) => {
      if (error instanceof DatabaseUnreachableError) return undefined;
      throw error;
    });
    if (engine === undefined) return;
    this.#mortal.push(engine);
    await delay(500 + Math.random() * 500);
    this.#cutOff += 1;
    await cutOff(proxy);
    await delay(500);
    await engine.taskmaster.close();
  }

  /** As `kill -9`, at any moment. */
  async #killProcess(): Promise<void> {
    const child = workerChild(this.database, { queue: 'plain', concurrency: 5, maxAttempts: 1_000 }, OPTIONS);
    await child.line(/^started/, { timeoutMs: 60_000 });
    await delay(Math.random() * 300);
    child.kill('SIGKILL');
    this.#killed += 1;
    await child.exit();
  }

  async #endConnections(): Promise<void> {
    await delay(Math.random() * 1_500);
    const rows = await this.database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'taskmaster' and random() < 0.3`,
    );
    this.#ended += rows.length;
  }

  #handlers(by: Run['by']): Record<string, HandlerEntry> {
    const options = { concurrency: 5, maxAttempts: 1_000, backoff: 20 };
    const work = async (job: Job<never>) => {
      const run = { jobId: job.id, by, startedAt: performance.now(), endedAt: Infinity };
      this.#runs.push(run);
      await delay((job.payload as { workMs: number }).workMs);
      run.endedAt = performance.now();
    };
    return {
      plain: { ...options, handle: work },
      retry: {
        ...options,
        handle: async (job) => {
          await work(job);
          if (Math.random() < 0.3) throw new Error('again');
          return Math.random() < 0.1 ? snooze(10) : undefined;
        },
      },
      effect: {
        ...options,
        handle: (job) =>
          job.transaction(async (tx) => {
            await work(job);
            await tx.query('insert into effects values ($1)', [job.id]);
          }),
      },
    };
  }
}

/** Swallows everything for longer than the lease, and then is a network again. */
async function cutOff(proxy: FaultyProxy): Promise<void> {
  proxy.blackhole();
  await delay(LEASE.ttlMs * 1.7);
  proxy.refuse();
  proxy.pass();
}

/** Pairs of runs of one job at the same time, without one of them being cut off: those are promised not to happen. */
function overlaps(runs: readonly Run[]): number {
  const last = new Map<string, Run>();
  let count = 0;
  for (const run of runs.filter(({ by }) => by === 'steady')) {
    const before = last.get(run.jobId);
    if (before !== undefined && before.endedAt > run.startedAt) count += 1;
    last.set(run.jobId, run);
  }
  return count;
}

async function effectsOf(database: TestDatabase): Promise<{ jobs: number; twice: number }> {
  const [row] = await database.query<{ jobs: number; twice: number }>(
    `select count(*)::integer as jobs, count(*) filter (where times > 1)::integer as twice
       from (select count(*) as times from effects group by job_id) as each`,
  );
  return row!;
}

/** How many jobs were to have an effect; their rows are gone, their history is not. */
async function effectJobs(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(distinct job_id)::integer as count from audit_jobs where op = 'i' and queue = 'effect'`,
  );
  return row!.count;
}
