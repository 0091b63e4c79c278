import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { childProcess } from '../support/child-process.js';
import { eventually } from '../support/eventually.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { StepTable } from './support/step-table.js';
import { SHORT_LEASE, workingEngine } from './support/working-engine.js';

const LONG_MS = 3_600_000;
/** The lease, a rescue that has just missed its end, and what a busy machine adds. */
const RESCUED_MS = SHORT_LEASE.ttlMs + 1.5 * SHORT_LEASE.heartbeatMs + 8_000;

const setup = async () => {
  const database = await testDatabase();
  await database.query('create table effects (job_id bigint not null, what text not null)');
  return { database, jobs: new JobTable(database), steps: new StepTable(database) };
};

async function effects(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ what: string }>('select what from effects order by what');
  return rows.map((row) => row.what);
}

/** A process that runs the job and kills itself where the payload says. Resolves when it is dead. */
async function killed(database: TestDatabase, maxAttempts: number): Promise<void> {
  const taskmaster = { connection: database.url, schema: database.schema, lease: SHORT_LEASE };
  const child = childProcess(new URL('./support/steps-process.ts', import.meta.url), {
    args: [JSON.stringify({ taskmaster, maxAttempts })],
  });
  await child.line(/^ready/);
  expect(await child.exit()).toMatchObject({ signal: 'SIGKILL' });
}

/** As the handler of the process, of a version that does not kill itself. */
const survivor = (database: TestDatabase) => async (job: Job<never>) => {
  const effect = (what: string) => database.query('insert into effects values ($1, $2)', [job.id, what]);
  await job.step('first', () => effect('first').then(() => 1));
  await job.step('second', () => effect('second').then(() => 1));
  await job.sleep(LONG_MS);
  await job.step('third', () => effect('third').then(() => 1));
};

describe('a process that is killed', () => {
  it.each([
    ['after a step', 'afterStep', ['first', 'second', 'third']],
    ['between what a step does and its end', 'inStep', ['first', 'second', 'second', 'third']],
    ['between a sleep and the end of its attempt', 'asleep', ['first', 'second', 'third']],
  ])('%s leaves a job that goes on after its last step', async (_name, dies, expected) => {
    const { database, jobs, steps } = await setup();
    const id = await jobs.insert('mail', { payload: JSON.stringify({ dies }) });
    await killed(database, 10);
    const before = await steps.all();
    const { log } = await workingEngine(database, { mail: survivor(database) });
    await log.of('rescued').count(1, { timeoutMs: RESCUED_MS });
    await steps.asleep();
    expect(await jobs.of(id)).toMatchObject({ state: 'scheduled', run_count: 1, crash_count: 1 });
    await steps.elapse();
    await jobs.empty();
    expect(await effects(database)).toEqual(expected);
    expect(before.filter(({ kind }) => kind === 'sleep')).toHaveLength(dies === 'asleep' ? 1 : 0);
  });

  it('fails a job that has one attempt; requeued, it goes on after its last step', async () => {
    const { database, jobs, steps } = await setup();
    const id = await jobs.insert('mail', { payload: '{"dies": "inStep"}', max_attempts: 1 });
    await killed(database, 1);
    const { log } = await workingEngine(database, { mail: { maxAttempts: 1, handle: survivor(database) } });
    await jobs.in(id, 'failed', { timeoutMs: RESCUED_MS });
    expect(await steps.all()).toMatchObject([{ name: 'first' }]);
    await database.query(`update ${jobs.schema}.jobs set run_count = 0 where id = $1`, [id]);
    await steps.asleep();
    await steps.elapse();
    await jobs.empty();
    expect(await effects(database)).toEqual(['first', 'second', 'second', 'third']);
    expect(await log.of('completed').count(1)).toMatchObject([{ jobId: id, runCount: 1 }]);
  });
});

describe('a worker that stops', () => {
  it('hands back a job in the middle of a step, and another goes on with that step', async () => {
    const { database, jobs } = await setup();
    const closed = gate();
    const done: string[] = [];
    const handle = (name: string) => async (job: Job<never>) => {
      await job.step('first', () => done.push(`${name}: first`));
      await job.step('second', async () => {
        if (name === 'one') await closed.pass(job.signal);
        done.push(`${name}: second`);
      });
    };
    const first = await workingEngine(
      database,
      { mail: { maxAttempts: 1, handle: handle('one') } },
      { shutdown: { drainTimeoutMs: 0 } },
    );
    await jobs.insert('mail');
    await closed.reached(1);
    await first.taskmaster.close();
    await first.log.of('released').count(1);
    const second = await workingEngine(database, { mail: { maxAttempts: 1, handle: handle('two') } });
    await jobs.empty();
    expect(done).toEqual(['one: first', 'two: second']);
    expect(await second.log.of('completed').count(1)).toMatchObject([{ runCount: 1 }]);
  });

  it('waits for a job that falls asleep, and leaves those that sleep to others', async () => {
    const { database, jobs, steps } = await setup();
    const closed = gate();
    const done: string[] = [];
    const handle = async (job: Job<never>) => {
      await job.step('first', async () => {
        done.push('first');
        await closed.pass();
      });
      await job.sleep(LONG_MS);
      done.push('awake');
    };
    const first = await workingEngine(database, { mail: handle }, { shutdown: { drainTimeoutMs: 10_000 } });
    await jobs.insert('mail');
    await closed.reached(1);
    const closing = first.taskmaster.close();
    closed.open();
    await closing;
    expect(await steps.sleeping()).toHaveLength(1);
    expect(await database.query(`select from ${jobs.schema}.leases`)).toEqual([]);
    await workingEngine(database, { mail: handle });
    await steps.elapse();
    await jobs.empty();
    expect(done).toEqual(['first', 'awake']);
  });
});

describe('a job whose database is away', () => {
  it('falls asleep when it is back', async () => {
    const { database, jobs, steps } = await setup();
    const { proxy, connection } = await faultyProxy(database);
    const closed = gate();
    const handle = async (job: Job<never>) => {
      try {
        await job.sleep(LONG_MS);
      } finally {
        await closed.pass();
      }
    };
    const lease = { ttlMs: 20_000, heartbeatMs: 5_000, heartbeat: 'main' } as const; // outlasts the outage
    const { log } = await workingEngine(database, { mail: handle }, { connection, lease });
    await jobs.insert('mail');
    await closed.reached(1);
    proxy.refuse();
    closed.open();
    await log.of('databaseLost').count(1);
    proxy.pass();
    await steps.asleep();
    await log.of('sleeping').count(1);
    expect(log.of('started').values).toHaveLength(1);
    await steps.elapse();
    await jobs.empty();
  });

  it('sleeps though the answer to that was lost', async () => {
    const { database, jobs, steps } = await setup();
    const { proxy, connection } = await faultyProxy(database);
    const { log } = await workingEngine(
      database,
      { mail: (job: Job<never>) => job.sleep(LONG_MS) },
      { connection },
    );
    const lost = proxy.dropReply({ to: /park_job/ });
    await jobs.insert('mail');
    await lost;
    await log.of('sleeping').count(1);
    expect(await steps.asleep()).toHaveLength(1);
    expect(log.of('leaseLost').values).toEqual([]);
  });
});

describe('two versions of an application', () => {
  it('share a job: the newer does what the older has not, and its own steps', async () => {
    const { database, jobs, steps } = await setup();
    const done: string[] = [];
    const step = (job: Job<never>, name: string) => job.step(name, () => done.push(name));
    const older = async (job: Job<never>) => {
      await step(job, 'charge');
      await job.waitForEvent('cancelled by the customer', { timeoutMs: LONG_MS });
      await job.sleep('cool off', LONG_MS);
      await step(job, 'old mail');
    };
    const newer = async (job: Job<never>) => {
      await step(job, 'check'); // new, before what is done already
      await step(job, 'charge');
      await job.sleep('cool off', LONG_MS); // the wait before it is gone
      await step(job, 'new mail');
    };
    const first = await workingEngine(database, { mail: older }, { name: 'older' });
    await jobs.insert('mail');
    expect(await steps.asleep()).toMatchObject([{ kind: 'event' }]);
    const second = await workingEngine(database, { mail: newer }, { name: 'newer' });
    await first.taskmaster.close();
    await steps.elapse();
    await second.log.of('sleeping').count(1);
    expect(await steps.asleep()).toMatchObject([{ kind: 'sleep', name: 'cool off' }]);
    expect(done).toEqual(['charge', 'check']);
    await second.taskmaster.publisher.emit('cancelled by the customer'); // nobody waits for it any more
    await steps.delivered();
    expect(await steps.asleep()).toHaveLength(1);
    await steps.elapse();
    await jobs.empty();
    expect(done).toEqual(['charge', 'check', 'new mail']);
    expect(second.log.of('started').values).toHaveLength(2);
  });
});

describe('a worker that was declared dead', () => {
  it('and goes on remembers nothing, while the one that has the job does', async () => {
    const { database, jobs, steps } = await setup();
    const closed = gate();
    const seen: string[] = [];
    const handle = (name: string) => async (job: Job<never>) => {
      try {
        const by = await job.step('by', async () => {
          if (name === 'first') await closed.pass();
          return name;
        });
        seen.push(`${name} sees ${by}`);
        await job.sleep(LONG_MS);
      } catch (error) {
        seen.push(`${name}: ${(error as { code?: string; kind?: string }).code ?? 'asleep'}`);
        throw error;
      }
    };
    const first = await workingEngine(
      database,
      { mail: { concurrency: 1, handle: handle('first') } },
      { name: 'first' },
    );
    const id = await jobs.insert('mail');
    await closed.reached(1);
    await steps.takeOver(id);
    await database.query(`delete from ${jobs.schema}.leases`);
    await workingEngine(database, { mail: handle('second') }, { name: 'second' });
    await steps.asleep();
    closed.open();
    await first.log.of('leaseLost').count(1);
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(['second sees second', 'second: asleep', 'first: TM_LEASE_LOST']);
    expect(await steps.all()).toMatchObject([
      { name: 'by', result: 'second' },
      { kind: 'sleep', finished: false },
    ]);
    await steps.elapse();
    await jobs.empty();
  });
});
