import { describe, expect, it } from 'vitest';
import { type Explanation, type Job, type Reason, rateLimited, reject } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { leaseToDead } from './support/dead-lease.js';
import { JobTable } from './support/job-table.js';
import { type HandlerEntry, workingEngine } from './support/working-engine.js';

const HOUR_MS = 3_600_000;

type EntryOptions = Exclude<HandlerEntry, (...args: never[]) => unknown>;

const setup = async () => {
  const database = await testDatabase();
  const { admin, publisher } = await openEngine(database);
  const jobs = new JobTable(database);
  const explain = async (id: string): Promise<Explanation> => (await admin.jobs.explain(id))!;
  /** Resolves once that is the first reason. */
  const reasonIs = (id: string, reason: Reason['code']) =>
    eventually(async () => {
      const explanation = await explain(id);
      expect(explanation).toMatchObject({ reason });
      return explanation;
    });
  /** A worker that is alive and takes nothing, so that nothing moves. */
  const worksOn = (queues: Record<string, number>) =>
    database.query(
      `insert into ${jobs.schema}.workers (name, expires_at, queues) values ('still', now() + interval '1 h', $1)`,
      [queues],
    );
  return { database, admin, publisher, jobs, explain, reasonIs, worksOn, sql: sqlOf(database, jobs) };
};

/** What the SQL function says of the same job. */
const sqlOf = (database: TestDatabase, jobs: JobTable) => async (id: string) => {
  const [row] = await database.query<{ text: string | null }>(`select ${jobs.schema}.explain($1) as text`, [
    id,
  ]);
  return row!.text;
};

/** An engine that works on `mail`, with handlers that run until the gate opens. */
const busy = async (entry: Partial<EntryOptions> = {}) => {
  const all = await setup();
  const hold = gate();
  const engine = await workingEngine(all.database, {
    mail: { concurrency: 10, handle: (job: Job<never>) => hold.pass(job.signal), ...entry },
  });
  const [worker] = await all.admin.workers.list();
  return { ...all, hold, ...engine, worker: worker! };
};

describe('jobs.explain', () => {
  it('knows nothing of a job that is not there', async () => {
    const { admin, sql } = await setup();
    expect(await admin.jobs.explain('424242')).toBeUndefined();
    expect(await sql('424242')).toBeNull();
    await expect(admin.jobs.explain('x')).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });

  describe('of a job that has ended', () => {
    it('says how', async () => {
      const { publisher, admin, explain, sql, log } = await busy({
        retention: { completedMs: HOUR_MS, cancelledMs: HOUR_MS },
        handle: (job: Job<never>) => {
          if ((job.payload as { reject?: true }).reject) throw reject('no such mailbox');
        },
      });
      const done = await publisher.enqueue('mail', {});
      const failed = await publisher.enqueue('mail', { reject: true });
      const later = await publisher.enqueue('mail', {}, { delayMs: HOUR_MS });
      await admin.jobs.cancel(later.id);
      await log.of('completed').count(1);
      await log.of('failed').count(1);
      expect(await explain(done.id)).toMatchObject({
        id: done.id,
        queue: 'mail',
        state: 'completed',
        reason: 'completed',
        facts: { attempts: 1, at: expect.any(Date), error: undefined },
        text: expect.stringMatching(/^It completed at \S+Z, after 1 attempt\.$/),
      });
      expect(await explain(failed.id)).toMatchObject({
        state: 'failed',
        reason: 'failed',
        facts: { attempts: 1, error: { message: 'no such mailbox' } },
        text: expect.stringContaining('no such mailbox'),
      });
      expect(await explain(later.id)).toMatchObject({ state: 'cancelled', reason: 'cancelled' });
      expect(await sql(failed.id)).toMatch(/^failed at .*: no such mailbox$/);
      expect(await sql(done.id)).toMatch(/^completed at /);
    });
  });

  it('says who runs it, and that it has been cancelled', async () => {
    const closed = gate();
    const { publisher, admin, explain, sql, worker } = await busy({ handle: () => closed.pass() });
    const { id } = await publisher.enqueue('mail', {});
    await closed.reached(1);
    expect(await explain(id)).toMatchObject({
      state: 'running',
      reason: 'running',
      facts: {
        workerId: worker.id,
        pid: process.pid,
        host: worker.host,
        since: expect.any(Date),
        cancelling: false,
      },
      text: expect.stringContaining(
        `It runs on worker ${worker.id} (${worker.host}, process ${process.pid}) since`,
      ),
    });
    await admin.jobs.cancel(id);
    expect((await explain(id)).text).toContain('has been cancelled, and its handler has not ended yet');
    expect(await sql(id)).toContain(`running on worker ${worker.id} since`);
  });

  it('says that its worker has died with it', async () => {
    const { database, jobs, explain, sql } = await setup();
    const id = await jobs.insert('mail', { max_attempts: 1 });
    await leaseToDead(database, 'mail');
    const explanation = await explain(id);
    expect(explanation).toMatchObject({ reason: 'running', facts: { host: 'grave', alive: false } });
    expect(explanation.text).toMatch(/^Worker \d+ has died with it/);
    expect(await sql(id)).toContain('has died with it');
    const { log } = await workingEngine(database, { mail: () => undefined });
    await log.of('rescued').count(1);
    expect(await explain(id)).toMatchObject({
      reason: 'failed',
      facts: { error: { code: 'TM_WORKER_LOST' } },
    });
  });

  it('says that it is not due, and whatever else will hold it then', async () => {
    const { publisher, admin, explain, sql } = await setup();
    const runAt = new Date(Date.now() + HOUR_MS);
    const { id } = await publisher.enqueue('mail', {}, { runAt });
    await admin.queues.pause('mail', { by: 'ops', reason: 'moving' });
    const explanation = await explain(id);
    expect(explanation).toMatchObject({ state: 'scheduled', reason: 'scheduled', facts: { until: runAt } });
    expect(explanation.reasons.map((each) => each.code)).toEqual(['scheduled', 'paused', 'noWorker']);
    expect(explanation.text).toBe(explanation.reasons.map((each) => each.text).join(' '));
    expect(await sql(id)).toContain('not due until');
  });

  it('says which attempt waits for its retry, and why the last has failed', async () => {
    const { publisher, explain, sql, log } = await busy({
      backoff: HOUR_MS,
      handle: () => {
        throw new Error('connection refused');
      },
    });
    const { id } = await publisher.enqueue('mail', {});
    await log.of('retried').count(1);
    expect(await explain(id)).toMatchObject({
      state: 'scheduled',
      reason: 'retry',
      facts: { attempt: 2, until: expect.any(Date), error: { message: 'connection refused' } },
      text: expect.stringMatching(/^Its retry, attempt 2, is not due until \S+Z: connection refused\.$/),
    });
    expect(await sql(id)).toContain('retry not due until');
  });

  it('says that it has expired', async () => {
    const { jobs, explain, sql } = await setup();
    const id = await jobs.insert('mail', { expires_at: new Date(1_000) });
    expect(await explain(id)).toMatchObject({ reason: 'expired', facts: { expiresAt: new Date(1_000) } });
    expect(await sql(id)).toContain('expired at 1970');
  });

  it('says that its queue is paused: by whom, since when, until when and why', async () => {
    const { publisher, admin, explain, sql } = await busy();
    const until = new Date(Date.now() + HOUR_MS);
    await admin.queues.pause('mail', { until, by: 'ops', reason: 'the mail server moves' });
    const { id } = await publisher.enqueue('mail', {});
    expect(await explain(id)).toMatchObject({
      state: 'ready',
      reason: 'paused',
      facts: { by: 'ops', since: expect.any(Date), until, reason: 'the mail server moves' },
      text: expect.stringMatching(
        /^The queue "mail" is paused by ops since \S+ until \S+: the mail server moves\.$/,
      ),
    });
    expect(await sql(id)).toContain('queue paused by ops since');
    await admin.queues.resume('mail');
  });

  it('says that its queue is held', async () => {
    const { publisher, explain, sql, reasonIs } = await busy({
      concurrency: 1,
      handle: () => {
        throw rateLimited({ retryAfterMs: HOUR_MS });
      },
    });
    await publisher.enqueue('mail', {});
    const { id } = await publisher.enqueue('mail', {});
    await reasonIs(id, 'held');
    expect((await explain(id)).facts).toMatchObject({ until: expect.any(Date) });
    expect(await sql(id)).toContain('queue held until');
  });

  describe('of a queue that nobody takes jobs of', () => {
    it('says that no live worker works on it', async () => {
      const { database, publisher, explain, sql } = await setup();
      await workingEngine(database, { other: () => undefined });
      const { id } = await publisher.enqueue('mail', {});
      expect(await explain(id)).toMatchObject({
        state: 'ready',
        reason: 'noWorker',
        text: 'No live worker works on the queue "mail".',
      });
      expect(await sql(id)).toBe('no live worker works on its queue');
    });

    it('says so too when the only one has died', async () => {
      const { database, publisher, explain, jobs } = await setup();
      await database.query(
        `insert into ${jobs.schema}.workers (name, expires_at, queues) values ('dead', now(), '{"mail": 5}')`,
      );
      const { id } = await publisher.enqueue('mail', {});
      expect(await explain(id)).toMatchObject({ reason: 'noWorker' });
    });

    it('says that all who work on it are quiet', async () => {
      const { publisher, admin, explain, sql, log, worker } = await busy();
      await admin.workers.quiet(worker.id);
      await log.of('engineQuiet').count(1);
      const { id } = await publisher.enqueue('mail', {});
      expect(await explain(id)).toMatchObject({
        state: 'ready',
        reason: 'quietWorkers',
        facts: { quiet: 1, draining: 0 },
      });
      expect(await sql(id)).toBe('only quiet workers work on its queue');
    });
  });

  describe('of a queue with limits', () => {
    it('says which jobs hold its global concurrency', async () => {
      const { publisher, explain, sql, hold } = await busy({ globalConcurrency: 2 });
      const a = await publisher.enqueue('mail', {});
      const b = await publisher.enqueue('mail', {});
      await hold.reached(2);
      const { id } = await publisher.enqueue('mail', {});
      expect(await explain(id)).toMatchObject({
        reason: 'globalConcurrency',
        facts: { limit: 2, holders: [a.id, b.id] },
        text: `The limit of 2 at once for the queue "mail" is held by jobs ${a.id} and ${b.id}.`,
      });
      expect(await sql(id)).toContain(`queue limit of 2 held by jobs ["${a.id}", "${b.id}"]`);
    });

    it('says until when its rate is full', async () => {
      const { publisher, sql, reasonIs, log } = await busy({
        rateLimit: { limit: 2, periodMs: HOUR_MS },
        handle: () => undefined,
      });
      await publisher.enqueueMany('mail', [{}, {}]);
      await log.of('completed').count(2);
      const { id } = await publisher.enqueue('mail', {});
      const { facts, text } = await reasonIs(id, 'rateLimit');
      expect(facts).toMatchObject({ limit: 2, periodMs: HOUR_MS, key: undefined });
      expect((facts as { until: Date }).until.getTime() - Date.now()).toBeGreaterThan(HOUR_MS - 60_000);
      expect(text).toMatch(/^The rate of 2 in 3600000 ms of the queue "mail" is full until \S+Z\.$/);
      expect(await sql(id)).toContain('rate limit full until');
    });

    it('says of which key the rate is full', async () => {
      const { jobs, reasonIs, log } = await busy({
        rateLimit: { limit: 1, periodMs: HOUR_MS, key: () => 'the payloads of these jobs are not asked' },
        handle: () => undefined,
      });
      await jobs.insert('mail', { group_key: 'a' });
      await log.of('completed').count(1);
      const id = await jobs.insert('mail', { group_key: 'a' });
      expect((await reasonIs(id, 'rateLimit')).facts).toMatchObject({ key: 'a', limit: 1 });
      await jobs.insert('mail', { group_key: 'b' });
      await log.of('completed').count(2);
    });

    it('says which jobs hold the limit of its key, and what all reasons are', async () => {
      const { jobs, hold, explain, sql } = await busy({
        globalConcurrency: 3,
        keyConcurrency: { key: () => 'the payloads of these jobs are not asked', limit: 2 },
      });
      const held: string[] = [];
      for (const key of ['a', 'a', 'b'])
        held.push(await jobs.insert('mail', { group_key: key, group_slots: 2 }));
      await hold.reached(3);
      const a = await jobs.insert('mail', { group_key: 'a', group_slots: 2 });
      const b = await jobs.insert('mail', { group_key: 'b', group_slots: 2 });
      expect(await explain(a)).toMatchObject({
        reasons: [
          { code: 'globalConcurrency', facts: { limit: 3, holders: held } },
          { code: 'groupLimit', facts: { group: 'a', limit: 2, holders: held.slice(0, 2) } },
        ],
      });
      expect((await explain(b)).reasons.map((each) => each.code)).toEqual(['globalConcurrency']);
      expect(await sql(a)).toContain('queue limit of 3');
    });
  });

  describe('of a member of a group', () => {
    it('says which one before it runs', async () => {
      const { publisher, explain, sql, hold } = await busy();
      const first = await publisher.enqueue('mail', {}, { group: 'g' });
      await hold.reached(1);
      const { id } = await publisher.enqueue('mail', {}, { group: 'g' });
      const free = await publisher.enqueue('mail', {}, { group: 'other' });
      expect(await explain(id)).toMatchObject({
        reason: 'groupOrder',
        facts: { group: 'g', limit: 1, ahead: [{ id: first.id, state: 'running', until: undefined }] },
        text: `It comes after others of its group "g": job ${first.id}, which is running.`,
      });
      expect(await sql(id)).toBe(`behind job ${first.id} of its group, which is running`);
      await hold.reached(2);
      expect(await explain(free.id)).toMatchObject({ reason: 'running' });
    });

    it('says which one before it waits for its time', async () => {
      const { publisher, explain } = await busy();
      const runAt = new Date(Date.now() + HOUR_MS);
      const first = await publisher.enqueue('mail', {}, { group: 'g', runAt });
      const { id } = await publisher.enqueue('mail', {}, { group: 'g' });
      expect(await explain(id)).toMatchObject({
        reason: 'groupOrder',
        facts: { ahead: [{ id: first.id, state: 'scheduled', until: runAt }] },
      });
    });

    it('says which one before it has failed, where that blocks', async () => {
      const { publisher, explain, log } = await busy({
        onFailure: 'block',
        handle: () => {
          throw reject('no');
        },
      });
      const first = await publisher.enqueue('mail', {}, { group: 'g' });
      await log.of('failed').count(1);
      const { id } = await publisher.enqueue('mail', {}, { group: 'g' });
      expect(await explain(id)).toMatchObject({
        reason: 'groupOrder',
        facts: { ahead: [{ id: first.id, state: 'failed' }] },
        text: expect.stringContaining(`job ${first.id}, which is failed`),
      });
    });
  });

  describe('of a job that depends on others', () => {
    it('says on which', async () => {
      const { publisher, explain, sql } = await setup();
      const parents = await publisher.enqueueMany('mail', [{}, {}, {}, {}, {}], { delayMs: HOUR_MS });
      const { id } = await publisher.enqueue('mail', {}, { dependsOn: parents });
      expect(await explain(id)).toMatchObject({
        state: 'blocked',
        reason: 'dependency',
        facts: { left: 5, parents: parents.map((parent) => ({ id: parent.id, state: 'pending' })) },
        text: expect.stringContaining(
          `It depends on jobs ${parents[0]!.id}, ${parents[1]!.id} and 3 more, which have not completed.`,
        ),
      });
      expect(await sql(id)).toBe(`waits for 5 jobs, such as ${parents[0]!.id}`);
    });

    it('says that one has failed, while nobody is there to tell it', async () => {
      const { database, publisher, jobs, explain } = await setup();
      const parent = await publisher.enqueue('mail', {});
      const { id } = await publisher.enqueue('mail', {}, { dependsOn: [parent] });
      await database.query(
        `update ${jobs.schema}.jobs set failed_at = now(), run_at = 'infinity', run_count = 1 where id = $1`,
        [parent.id],
      );
      expect((await explain(id)).reasons[0]).toMatchObject({
        code: 'dependency',
        facts: { left: 1, parents: [{ id: parent.id, state: 'failed' }] },
        text: `It depends on job ${parent.id}, which has not completed; job ${parent.id} has failed.`,
      });
    });
  });

  it('says which job of its schedule it waits for', async () => {
    const { taskmaster, admin, explain, sql, hold } = await busy();
    taskmaster.schedule({ name: 'nightly', queue: 'mail', everyMs: HOUR_MS, overlap: 'queue' });
    await eventually(async () => expect(await admin.schedules.get('nightly')).toBeDefined());
    const first = (await admin.schedules.trigger('nightly'))!;
    await hold.reached(1);
    const second = (await admin.schedules.trigger('nightly'))!;
    expect(await explain(second)).toMatchObject({
      reason: 'scheduleOverlap',
      facts: { schedule: 'nightly', after: first },
      text: `It waits for job ${first} of its schedule "nightly" to end.`,
    });
    expect(await sql(second)).toBe('waits for an earlier job of schedule nightly');
  });

  describe('of a job whose handler waits', () => {
    const waits = (wait: (job: Job<never>) => Promise<unknown>) => busy({ handle: wait });

    it('says until when it sleeps', async () => {
      const { publisher, reasonIs, sql } = await waits((job) => job.sleep(HOUR_MS));
      const { id } = await publisher.enqueue('mail', {});
      const { facts, reasons } = await reasonIs(id, 'sleeping');
      expect((facts as { until: Date }).until.getTime()).toBeGreaterThan(Date.now() + HOUR_MS / 2);
      expect(reasons).toHaveLength(1);
      expect(await sql(id)).toContain('sleeping until 2');
    });

    it('says which event it waits for', async () => {
      const { publisher, reasonIs, sql } = await waits((job) => job.waitForEvent('paid:7'));
      const { id } = await publisher.enqueue('mail', {});
      const { facts, text } = await reasonIs(id, 'waitingForEvent');
      expect(facts).toEqual({ event: 'paid:7', until: undefined });
      expect(text).toBe('Its handler waits for the event "paid:7".');
      expect(await sql(id)).toBe('sleeping until an event comes');
    });
  });

  it('says that it is to run alone after crashes', async () => {
    const { jobs, explain, sql, hold } = await busy({ concurrency: 2 });
    await jobs.insert('mail');
    await hold.reached(1);
    const alone = await jobs.insert('mail', { run_alone: true, crash_count: 2 });
    expect(await explain(alone)).toMatchObject({ reason: 'runAlone', facts: { crashes: 2 } });
    expect(await sql(alone)).toBe('waits to run alone, after crashes');
  });

  it('says that another one is to run alone first, on the same worker', async () => {
    const { jobs, explain, sql, worksOn } = await setup();
    await worksOn({ mail: 5, other: 5 });
    const alone = await jobs.insert('other', { run_alone: true, crash_count: 2 });
    const id = await jobs.insert('mail');
    expect(await explain(id)).toMatchObject({ reason: 'aloneFirst', facts: { jobId: alone } });
    expect(await sql(id)).toBe(`job ${alone} is to run alone first, after crashes`);
    const elsewhere = await jobs.insert('elsewhere');
    await worksOn({ elsewhere: 5 });
    expect(await explain(elsewhere)).toMatchObject({ reason: 'starting' });
  });

  it('says that somebody has parked it by hand', async () => {
    const { jobs, explain, sql } = await setup();
    const id = await jobs.insert('mail', { run_at: 'infinity' });
    expect((await explain(id)).reasons[0]).toMatchObject({ code: 'parked' });
    expect(await sql(id)).toBe('parked');
  });

  it('says how many are before it when it waits only for a slot', async () => {
    const { publisher, explain, sql, hold } = await busy({ concurrency: 2 });
    await publisher.enqueueMany('mail', [{}, {}]);
    await hold.reached(2);
    const waiting = await publisher.enqueueMany('mail', [{}, {}, {}]);
    const urgent = await publisher.enqueue('mail', {}, { priority: -1 });
    const grouped = await publisher.enqueue('mail', {}, { group: 'g' });
    expect(await explain(urgent.id)).toMatchObject({ reason: 'slot', facts: { slots: 2, position: 1 } });
    expect(await explain(waiting[2]!.id)).toMatchObject({
      reason: 'slot',
      facts: { slots: 2, position: 4, capped: false },
      text: 'It waits only for a free slot of the 2 there are, as number 4.',
    });
    expect(await explain(grouped.id)).toMatchObject({ reason: 'slot', facts: { position: undefined } });
    expect(await sql(waiting[2]!.id)).toBe('waits for a free slot, 4. in line');
    expect(await sql(grouped.id)).toBe('waits for a free slot');
  });

  it('stops to count those before it', async () => {
    const { jobs, publisher, explain, hold } = await busy({ concurrency: 1 });
    await publisher.enqueue('mail', {});
    await hold.reached(1);
    await jobs.insertMany('mail', 1_100);
    const id = await jobs.insert('mail');
    expect(await explain(id)).toMatchObject({
      reason: 'slot',
      facts: { position: 1_001, capped: true },
      text: expect.stringContaining('behind number 1001'),
    });
  });

  it('says that it is about to start when nothing holds it', async () => {
    const { jobs, explain, sql, worksOn } = await setup();
    await worksOn({ mail: 5 });
    const id = await jobs.insert('mail');
    expect(await explain(id)).toMatchObject({
      reason: 'starting',
      text: 'Nothing holds it: it starts within moments.',
    });
    expect(await sql(id)).toBe('about to run');
  });
});
