import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { NO_VIOLATIONS, type Verdict } from './support/checks.js';
import { mutant, type Mutant, type Patch } from './support/mutant.js';
import { pgServer, type PgServer } from './support/pg-server.js';
import { ALL, missing } from './support/when.js';
import { chaosWorld, type ChaosWorld } from './support/world.js';

/**
 * A checker that no mistake can turn red proves nothing. Each guard is removed from the library, in the processes of one test, and what it guards against
 * is provoked: the check that is meant for it must say so. With the guard in place the same provocation leaves every check at 0.
 */
interface Mutation {
  readonly guard: string;
  /** Makes the moment longer in which it is needed, with the guard and without. */
  readonly slowed?: readonly Patch[];
  readonly patches: readonly Patch[];
  /** At least one of these must be violated. */
  readonly caughtBy: readonly string[];
  readonly server?: readonly string[];
  readonly provoke: (world: ChaosWorld, server: PgServer) => Promise<void>;
}

/** What a mutation has kept from ever being done shows in this time, in several leases. */
const STUCK_MS = 12_000;
const DRAIN_MS = 30_000;

const MUTATIONS: readonly Mutation[] = [
  {
    guard: 'the fence: a settlement matches the token of its attempt',
    patches: [
      {
        file: 'engine/sql/claim-jobs.ts',
        find: 'job.seq = (${seqs}::bigint[])[width_bucket(job.id, ${ids}::bigint[])]',
        replace: 'cardinality(${seqs}::bigint[]) >= 0',
      },
    ],
    caughtBy: ['I7'],
    provoke: lateAck,
  },
  {
    guard: 'the reconcile loop: leases whose claim was never answered are given back',
    patches: [
      {
        file: 'engine/worker/reconciler.ts',
        find: 'if (unknown.length > 0) await this.options.giveBack(unknown);',
        replace: 'await Promise.resolve(unknown);',
      },
    ],
    caughtBy: ['I1'],
    provoke: lostClaim,
  },
  {
    guard:
      'the state recheck: a claim reads the head of a lane that it has locked, not one that it saw before',
    slowed: [
      {
        file: 'engine/sql/claim-jobs.ts',
        find: 'select lane.queue_name, lane.priority, lane.epoch, wanted.slots',
        replace:
          'select lane.queue_name, lane.priority, lane.epoch, lane.head, pg_sleep(0.003) as held, wanted.slots',
      },
      {
        file: 'engine/sql/claim-jobs.ts',
        find: 'select lane.queue_name, lane.priority, lane.head, candidate.slots',
        replace: 'select lane.queue_name, lane.priority, lane.head, candidate.held, candidate.slots',
      },
    ],
    patches: [
      {
        file: 'engine/sql/claim-jobs.ts',
        find: 'select lane.queue_name, lane.priority, lane.head, candidate.held, candidate.slots',
        replace: 'select lane.queue_name, lane.priority, candidate.head, candidate.held, candidate.slots',
      },
    ],
    caughtBy: ['I5', 'I6'],
    provoke: crowd,
  },
  {
    guard: 'the lock order: a sweep locks the lane before it looks for what was left behind',
    slowed: [
      {
        file: 'engine/schema/migrations.generated.ts',
        find: 'complete := cardinality(ids) < wanted.l;',
        replace: `complete := cardinality(ids) < wanted.l;
      perform pg_sleep(0.05);`,
      },
      { file: 'engine/worker/sweep-clock.ts', find: 'const SHARE = 50;', replace: 'const SHARE = 1;' },
    ],
    patches: [
      {
        file: 'engine/schema/migrations.generated.ts',
        find: `       order by l.priority
         for update of l skip locked
    loop`,
        replace: `       order by l.priority
    loop`,
      },
    ],
    caughtBy: ['I5', 'I6'],
    provoke: stragglers,
  },
  {
    guard: 'the group lock: what runs of a group is counted while the queue is locked',
    patches: [
      {
        file: 'engine/schema/migrations.generated.ts',
        find: 'select * into q from {{schema}}.queues as s where s.name = wanted.name for update skip locked;',
        replace: 'select * into q from {{schema}}.queues as s where s.name = wanted.name;',
      },
    ],
    caughtBy: ['I6', 'I10', 'I11'],
    provoke: groups,
  },
  {
    guard: 'the notify guard: no bell is rung into a NOTIFY queue that fills up',
    patches: [
      {
        file: 'engine/schema/migrations.generated.ts',
        find: 'elsif pg_notification_queue_usage() < 0.5 then',
        replace: 'else',
      },
    ],
    caughtBy: ['I16'],
    server: ['max_notify_queue_pages=64'],
    provoke: fullNotifyQueue,
  },
];

const skipped = missing('the mutations with their guards in place', { '--all': ALL });

describe.each(MUTATIONS)('without $guard', (mutation) => {
  const { slowed = [], patches, caughtBy } = mutation;

  it(`the checker turns red (${caughtBy.join(', ')})`, { timeout: 240_000 }, async () => {
    const verdict = await judged(mutation, await mutant([...slowed, ...patches]), STUCK_MS);
    expect(verdict).not.toEqual(NO_VIOLATIONS);
    expect(caughtBy.filter((id) => verdict[id]! > 0)).not.toEqual([]);
  });

  it.skipIf(skipped)('and with it everything is 0', { timeout: 240_000 }, async () => {
    expect(await judged(mutation, await mutant(slowed), DRAIN_MS)).toEqual(NO_VIOLATIONS);
  });
});

/** What the checks say of a library after it was provoked. */
async function judged(mutation: Mutation, library: Mutant, drainMs: number): Promise<Verdict> {
  const server = await pgServer({ settings: mutation.server ?? [] });
  const world = await chaosWorld(server, { mutant: library, concurrency: 10 });
  await mutation.provoke(world, server);
  await world.drained({ timeoutMs: drainMs }).catch(() => undefined); // a mutation may keep something from ever being done
  await world.storeOutcomes();
  await world.history.storeFaults();
  const { verdict } = await world.verdict();
  for (const { process } of world.workers) process.kill('SIGKILL');
  await Promise.all(world.workers.map(({ process }) => process.exit()));
  await server.crash();
  return verdict;
}

/** An ack is held up by the network until another process runs the job, and then arrives. */
async function lateAck(world: ChaosWorld, server: PgServer): Promise<void> {
  const first = await world.worker('first');
  await world.insert('plain', { hold: true });
  await started(server, 1);
  const startedAt = Date.now();
  first.proxy.stall();
  first.process.kill('SIGUSR2'); // its handler returns, and the ack is on its way
  await eventually(
    async () => (await server.query(`select from audit.runs where ending = 'returned'`)).length === 1,
  );
  await delay(500);
  const second = await world.worker('second');
  await started(server, 2);
  first.proxy.pass();
  await delay(1_000); // for the ack to arrive
  second.process.kill('SIGUSR2');
  world.history.note('cut off', 'first', startedAt);
}

async function lostClaim(world: ChaosWorld): Promise<void> {
  const { proxy } = await world.worker('only');
  await world.insert('plain', {}, 20);
  await world.drained();
  const lost = proxy.dropReply({ with: /canary/ }, { timeoutMs: 30_000 });
  await world.insert('plain', { bird: 'canary' });
  await lost;
  world.history.note('lost reply', 'only', Date.now() - 100);
}

/** Many processes claim from one lane at once. */
async function crowd(world: ChaosWorld): Promise<void> {
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.worker(name)));
  for (let times = 0; times < 30; times += 1) {
    await world.insert('plain', { workMs: 1 }, 40);
    await delay(50);
  }
}

/** Jobs commit behind the head of their lane, again and again, and several processes look for them. */
async function stragglers(world: ChaosWorld, server: PgServer): Promise<void> {
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.worker(name)));
  const late = await server.client();
  const insert = `insert into ${world.jobs} (queue_name, payload) values ('plain', '{}')`;
  for (let times = 0; times < 30; times += 1) {
    await late.query(`begin; ${insert}; ${insert}; ${insert}`);
    await server.query(insert);
    await eventually(async () => (await server.query(`select from ${world.jobs}`)).length === 0); // the head has moved
    await late.query('commit');
    await delay(50); // for the last ones to be found
  }
  await late.end();
}

async function groups(world: ChaosWorld, server: PgServer): Promise<void> {
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.worker(name)));
  for (let times = 0; times < 40; times += 1) {
    await server.query(
      `insert into ${world.jobs} (queue_name, group_key, payload) select 'ordered', 'g' || n % 5, '{"workMs": 5}' from generate_series(1, 10) as n`,
    );
    await delay(30);
  }
}

/** Somebody listens, in another database, and stays in a transaction; somebody notifies until the server refuses. */
async function fullNotifyQueue(world: ChaosWorld, server: PgServer): Promise<void> {
  await server.query('create database other');
  const { process } = await world.worker('only');
  await process.line(/^event listenerRestored/, { timeoutMs: 30_000 });
  await idle(server);
  const stuck = await server.client();
  await stuck.query('listen filler');
  await stuck.query('begin; select 1');
  const fill = async () => {
    for (;;)
      await server.query(`select pg_notify('filler', repeat('x', 7000) || n) from generate_series(1, 20) n`);
  };
  await expect(fill()).rejects.toMatchObject({ code: '54000' });
  const producer = await world.producer({ seed: 1, pauseMs: 20, jobs: 60 });
  await producer.exit({ timeoutMs: 60_000 });
  await stuck.end();
}

/** A worker that has nothing to do waits for bells: it holds the lock by which it asks for them. */
async function idle(server: PgServer): Promise<void> {
  const armed = `select from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and objid = hashtext('plain')::bigint & 4294967295`;
  await eventually(async () => (await server.query(armed)).length > 0, { timeoutMs: 30_000 });
}

async function started(server: PgServer, runs: number): Promise<void> {
  await eventually(async () => (await server.query('select from audit.runs')).length >= runs, {
    timeoutMs: 30_000,
  });
}
