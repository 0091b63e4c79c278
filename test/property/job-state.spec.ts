import assert from 'node:assert/strict';
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { ackJobs, claimJobs } from '../../lib/engine/sql/claim-jobs.js';
import { registerWorker, releaseLeases } from '../../lib/engine/sql/lease-jobs.js';
import { promoteJobs } from '../../lib/engine/sql/promote-jobs.js';
import { rescheduleJobs } from '../../lib/engine/sql/reschedule-jobs.js';
import { rescueJobs } from '../../lib/engine/sql/rescue-jobs.js';
import { claimAlone, openLanes, sweepJobs } from '../../lib/engine/sql/sweep-jobs.js';
import { ackLockedJob, lockJob } from '../../lib/engine/sql/transact-job.js';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { jobsOf, statementRunner, type RunStatement } from '../integration/support/statement-runner.js';
import { testDatabase } from '../support/test-database.js';

const QUEUE = 'mail';
const MAX_CRASHES = 3;
const LATER_MS = 60_000;

/** How an attempt ends, or is ended, by whoever holds a token. */
const SETTLEMENTS = [
  'ack',
  'ackInTransaction',
  'retry',
  'snooze',
  'release',
  'fail',
  'failUncounted',
  'giveBack',
] as const;
type Settlement = (typeof SETTLEMENTS)[number];

/** One thing that happens to the job. `worker` is one of two; `held` chooses among all the tokens it was ever given. */
type Step =
  | { readonly kind: 'claim' | 'claimAlone' | 'sweep' | 'deepSweep' | 'die'; readonly worker: number }
  | { readonly kind: Settlement; readonly worker: number; readonly held: number }
  | { readonly kind: 'promote' | 'requeue' | 'cancel' };

const worker = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ kind: fc.constantFrom('claim', 'claimAlone', 'sweep', 'deepSweep'), worker }),
  },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('die'), worker }) },
  { weight: 25, arbitrary: fc.record({ kind: fc.constantFrom(...SETTLEMENTS), worker, held: fc.nat(2) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('promote', 'requeue') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel') }) },
) as fc.Arbitrary<Step>;

/** The job as it should be. */
interface JobModel {
  readonly place: 'ready' | 'scheduled' | 'failed' | 'gone';
  /** Redrawn at every entry into the ready order, and at every end of an attempt. */
  readonly token: number;
  readonly holder: number | undefined;
  readonly runCount: number;
  readonly crashCount: number;
  readonly alone: boolean;
}

const NEW_JOB: JobModel = {
  place: 'ready',
  token: 0,
  holder: undefined,
  runCount: 0,
  crashCount: 0,
  alone: false,
};

/** What a step should make of the job. `current`: the token that is used is the job's. */
function next(job: JobModel, step: Step, current: boolean): JobModel {
  const ended = { ...job, token: job.token + 1, holder: undefined };
  switch (step.kind) {
    case 'claim':
      return claimable(job) && !job.alone ? { ...job, holder: step.worker } : job;
    case 'claimAlone':
      return claimable(job) && job.alone ? { ...job, holder: step.worker } : job;
    case 'sweep':
    case 'deepSweep':
      return job; // a job that is not leased is beyond the head here: claims take it
    case 'die':
      return job.place === 'ready' && job.holder === step.worker ? lostWorker(ended) : job;
    case 'ack':
    case 'ackInTransaction':
      return current ? { ...ended, place: 'gone' } : job;
    case 'retry':
      return current ? { ...ended, runCount: job.runCount + 1 } : job;
    case 'snooze':
      return current ? { ...ended, place: 'scheduled' } : job;
    case 'release':
    case 'giveBack':
      return current ? ended : job;
    case 'fail':
      return current ? { ...ended, place: 'failed', runCount: job.runCount + 1 } : job;
    case 'failUncounted':
      return current ? { ...ended, place: 'failed', runCount: Math.max(job.runCount, 1) } : job;
    case 'promote':
      return job.place === 'scheduled' ? { ...job, place: 'ready', token: job.token + 1 } : job;
    case 'requeue':
      if (job.place !== 'failed') return { ...job, runCount: 0 };
      return { ...ended, place: 'ready', runCount: 0, crashCount: 0, alone: false };
    case 'cancel':
      return { ...ended, place: 'gone' };
  }
}

function claimable(job: JobModel): boolean {
  return job.place === 'ready' && job.holder === undefined;
}

function lostWorker(job: JobModel): JobModel {
  const crashCount = job.crashCount + 1;
  const lost = { ...job, crashCount, runCount: job.runCount + 1, alone: crashCount + 1 >= MAX_CRASHES };
  return crashCount >= MAX_CRASHES ? { ...lost, place: 'failed' } : lost;
}

/** A token that a worker was given, with the lease it came in. */
interface Held {
  readonly seq: string;
  readonly leaseId: string;
}

interface JobRow {
  readonly seq: string;
  readonly place: JobModel['place'];
  readonly run_count: number;
  readonly crash_count: number;
  readonly run_alone: boolean;
  /** The workers whose leases name its token. */
  readonly holders: number[];
}

/** The real statements on a real job, in a transaction that is rolled back to where it began. */
class RealJob {
  readonly held: [Held[], Held[]] = [[], []];
  readonly #workers: [number, number] = [0, 0];

  private constructor(
    private readonly client: pg.Client,
    private readonly run: RunStatement,
    private readonly schema: string,
    readonly id: string,
  ) {}

  static async create(client: pg.Client, schema: string): Promise<RealJob> {
    const run = statementRunner(client, schema);
    await run(openLanes, { queues: [QUEUE] });
    const { rows } = await client.query<{ id: string }>(
      `insert into "${schema}".jobs (queue_name, payload) values ($1, '{}') returning id`,
      [QUEUE],
    );
    const job = new RealJob(client, run, schema, rows[0]!.id);
    for (const index of [0, 1]) await job.#register(index);
    return job;
  }

  async apply(step: Step): Promise<void> {
    switch (step.kind) {
      case 'claim':
        return this.#took(step.worker, await this.run(claimJobs, this.#claim(step.worker)));
      case 'claimAlone':
        return this.#took(step.worker, await this.run(claimAlone, this.#claim(step.worker)));
      case 'sweep':
      case 'deepSweep': {
        const deep = step.kind === 'deepSweep';
        return this.#took(step.worker, await this.run(sweepJobs, { ...this.#claim(step.worker), deep }));
      }
      case 'die':
        return this.#die(step.worker);
      case 'promote':
        await this.client.query(`update "${this.schema}".jobs set run_at = now() where run_at < 'infinity'`); // time passes
        return void (await this.run(promoteJobs, { limit: 10 }));
      case 'requeue':
        return void (await this.client.query(`update "${this.schema}".jobs set run_count = 0`));
      case 'cancel':
        return void (await this.client.query(`delete from "${this.schema}".jobs`));
      case 'ack':
      case 'ackInTransaction':
      case 'retry':
      case 'snooze':
      case 'release':
      case 'fail':
      case 'failUncounted':
      case 'giveBack': {
        const held = this.heldBy(step);
        return held === undefined ? undefined : this.#settle(step.kind, held);
      }
    }
  }

  /** The token that a step uses, if its worker has one. */
  heldBy(step: Step): Held | undefined {
    if (!('held' in step)) return undefined;
    const held = this.held[step.worker as 0 | 1];
    return held.at(-1 - (step.held % Math.max(held.length, 1)));
  }

  async row(): Promise<JobRow | undefined> {
    const { rows } = await this.client.query<JobRow>(
      `select job.seq, job.run_count, job.crash_count, job.run_alone,
              case when job.failed_at is not null then 'failed' when job.run_at is null then 'ready' else 'scheduled' end as place,
              array(select lease.worker_id from "${this.schema}".leases as lease
                     where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)) as holders
         from "${this.schema}".jobs as job where job.id = $1`,
      [this.id],
    );
    return rows[0];
  }

  workerId(index: number): number {
    return this.#workers[index as 0 | 1];
  }

  #claim(index: number) {
    return { workerId: this.workerId(index), queues: [QUEUE], limits: [5] };
  }

  #took(index: number, rows: Parameters<typeof jobsOf>[0]): void {
    for (const { seq, leaseId } of jobsOf(rows)) this.held[index as 0 | 1].push({ seq, leaseId });
  }

  async #register(index: number): Promise<void> {
    const [row] = await this.run(registerWorker, { name: 'test', host: 'here', pid: 1, ttlMs: 60_000 });
    this.#workers[index as 0 | 1] = row!.id;
  }

  /** Its process goes on: it keeps its tokens, and comes back under another id. */
  async #die(index: number): Promise<void> {
    await this.client.query(`update "${this.schema}".workers set expires_at = '-infinity' where id = $1`, [
      this.workerId(index),
    ]);
    await this.run(rescueJobs, { limit: 10, maxCrashes: MAX_CRASHES });
    await this.#register(index);
  }

  async #settle(kind: Settlement, { seq, leaseId }: Held): Promise<void> {
    const leases = [leaseId];
    const reschedule = (delayMs: number | null, counted: boolean) =>
      this.run(rescheduleJobs, {
        jobs: [{ id: this.id, seq, delayMs, counted, error: null }],
        leases,
        workerId: 0,
      });
    switch (kind) {
      case 'ack':
        return void (await this.run(ackJobs, { ids: [this.id], seqs: [seq], leases }));
      case 'ackInTransaction':
        return this.#ackInTransaction(seq, leases);
      case 'retry':
        return void (await reschedule(0, true));
      case 'snooze':
        return void (await reschedule(LATER_MS, false));
      case 'release':
        return void (await reschedule(0, false));
      case 'fail':
        return void (await reschedule(null, true));
      case 'failUncounted':
        return void (await reschedule(null, false));
      case 'giveBack':
        return void (await this.run(releaseLeases, { leases }));
    }
  }

  async #ackInTransaction(seq: string, leases: readonly string[]): Promise<void> {
    const tables = tablesOf(this.schema);
    const attempt = { id: this.id, seq };
    const { rows } = await this.client.query(lockJob.text(tables), lockJob.values(attempt));
    if (rows.length > 0)
      await this.client.query(
        ackLockedJob.text(tables),
        ackLockedJob.values({ ...attempt, result: null, keepMs: 0 }),
      );
    await this.run(ackJobs, { ids: [], seqs: [], leases });
  }
}

/** Does a step to the model and to the real job, and compares. */
async function check(model: JobModel, real: RealJob, step: Step): Promise<JobModel> {
  const before = await real.row();
  const held = real.heldBy(step);
  const current = before?.place === 'ready' && held !== undefined && held.seq === before.seq;
  await real.apply(step);
  const after = await real.row();
  const expected = next(model, step, current);
  if (held !== undefined && !current) assert.deepEqual(after, before, 'a stale token changed something');
  assert.deepEqual(seen(after, real), shown(expected));
  const redrawn = expected.token !== model.token;
  if (before !== undefined && after !== undefined)
    assert.equal(Number(after.seq) > Number(before.seq), redrawn, 'a new token');
  return expected;
}

function seen(row: JobRow | undefined, real: RealJob) {
  if (row === undefined) return { place: 'gone' };
  const holders = [0, 1].filter(
    (index) => row.place === 'ready' && row.holders.includes(real.workerId(index)),
  );
  assert.equal(row.place === 'ready' ? row.holders.length : 0, holders.length); // nobody else, and nobody twice
  return {
    place: row.place,
    holders,
    runCount: row.run_count,
    crashCount: row.crash_count,
    alone: row.run_alone,
  };
}

function shown({ place, holder, runCount, crashCount, alone }: JobModel) {
  if (place === 'gone') return { place };
  return { place, holders: holder === undefined ? [] : [holder], runCount, crashCount, alone };
}

describe('a job under two workers', () => {
  it('goes from state to state as the model says, and a stale token never changes anything', async () => {
    const database = await testDatabase();
    const client = await database.client();
    await client.query('begin');
    await client.query('savepoint start');
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 35 }), async (steps) => {
      const real = await RealJob.create(client, database.schema);
      try {
        let model = NEW_JOB;
        for (const each of steps) model = await check(model, real, each);
      } finally {
        await client.query('rollback to savepoint start');
      }
    });
    const numRuns = Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 150);
    await expect(fc.assert(property, { numRuns })).resolves.toBeUndefined();
    await client.query('rollback');
  });
});
