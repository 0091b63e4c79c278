import { describe, expect, it } from 'vitest';
import { ROLE_GRANTS, type RoleName, type Taskmaster } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { JobTable } from './support/job-table.js';
import { roleSet, ROLES } from './support/role-set.js';
import { NO_BELLS, workingEngine } from './support/working-engine.js';

const LATER = new Date('2100-01-01T00:00:00Z');
const EVERYBODY: readonly RoleName[] = ROLES;
const CHANGES: readonly RoleName[] = ['owner', 'migrator', 'worker'];
const READS: readonly RoleName[] = [...CHANGES, 'auditor'];
const LOOKS: readonly RoleName[] = [...READS, 'viewer'];
const ENQUEUES: readonly RoleName[] = [...CHANGES, 'producer'];

/** What a call is tried on. */
interface World {
  /** A job that is scheduled. */
  readonly waiting: string;
  readonly failed: string;
  readonly letter: string;
  /** One that has ended and is kept. */
  readonly kept: string;
  readonly batch: string;
  readonly taskmaster: Taskmaster;
}

interface Call {
  readonly allowed: readonly RoleName[];
  readonly call: (world: World) => Promise<unknown>;
}

/** Every call of the publisher and the admin, with who may make it. */
const CALLS: Readonly<Record<string, Call>> = {
  'publisher.enqueue': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.enqueue('mail', { a: 1 }),
  },
  'publisher.enqueue, scheduled, with options': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) =>
      publisher.enqueue(
        'mail',
        {},
        { runAt: LATER, priority: 2, maxAttempts: 3, tags: ['a'], headers: { a: 'b' } },
      ),
  },
  'publisher.enqueue to a queue with a limit': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.enqueue('limited'),
  },
  'publisher.enqueue, unique': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.enqueue('mail', {}, { unique: { key: 'k' } }),
  },
  'publisher.enqueue, in a group': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.enqueue('mail', {}, { group: 'g' }),
  },
  'publisher.enqueueMany': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.enqueueMany('mail', [{}, {}]),
  },
  'publisher.withTransaction': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.withTransaction(() => publisher.enqueue('mail')),
  },
  'publisher.flow': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) =>
      publisher.flow((flow) => {
        flow.add('mail', {}, { dependsOn: [flow.add('mail')] });
      }),
  },
  'publisher.batch': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) =>
      publisher.batch(
        (batch) => {
          batch.add('mail');
        },
        { onFinished: { queue: 'mail' } },
      ),
  },
  'publisher.closeBatch': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher }, batch }) => publisher.closeBatch(batch),
  },
  'publisher.emit': {
    allowed: ENQUEUES,
    call: ({ taskmaster: { publisher } }) => publisher.emit('paid', {}),
  },
  'publisher.result': {
    allowed: CHANGES,
    call: ({ taskmaster: { publisher }, kept }) => publisher.result(kept),
  },
  'admin.jobs.get': { allowed: READS, call: ({ taskmaster: { admin }, waiting }) => admin.jobs.get(waiting) },
  'admin.jobs.list': { allowed: READS, call: ({ taskmaster: { admin } }) => admin.jobs.list() },
  'admin.jobs.explain': {
    allowed: READS,
    call: ({ taskmaster: { admin }, waiting }) => admin.jobs.explain(waiting),
  },
  'admin.jobs.retry': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, failed }) => admin.jobs.retry(failed),
  },
  'admin.jobs.requeue': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, failed }) => admin.jobs.requeue(failed),
  },
  'admin.jobs.redrive': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, letter }) => admin.jobs.redrive(letter),
  },
  'admin.jobs.reprocess': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, kept }) => admin.jobs.reprocess(kept),
  },
  'admin.jobs.cancel': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, waiting }) => admin.jobs.cancel(waiting),
  },
  'admin.jobs.delete': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin }, failed }) => admin.jobs.delete(failed),
  },
  'admin.queues.list': { allowed: LOOKS, call: ({ taskmaster: { admin } }) => admin.queues.list() },
  'admin.queues.stats': { allowed: LOOKS, call: ({ taskmaster: { admin } }) => admin.queues.stats('mail') },
  'admin.queues.size': { allowed: LOOKS, call: ({ taskmaster: { admin } }) => admin.queues.size('mail') },
  'admin.queues.pause': { allowed: CHANGES, call: ({ taskmaster: { admin } }) => admin.queues.pause('idle') },
  'admin.queues.resume': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.queues.resume('idle'),
  },
  'admin.queues.setMaxPending': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.queues.setMaxPending('idle', 5),
  },
  'admin.queues.purge': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.queues.purge('purged'),
  },
  'admin.schedules.list': { allowed: READS, call: ({ taskmaster: { admin } }) => admin.schedules.list() },
  'admin.schedules.get': {
    allowed: READS,
    call: ({ taskmaster: { admin } }) => admin.schedules.get('daily'),
  },
  'admin.schedules.preview': {
    allowed: READS,
    call: ({ taskmaster: { admin } }) => admin.schedules.preview('daily'),
  },
  'admin.schedules.upsert': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) =>
      admin.schedules.upsert({ name: 'new', cron: '0 0 * * *', queue: 'mail' }),
  },
  'admin.schedules.pause': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.schedules.pause('daily'),
  },
  'admin.schedules.resume': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.schedules.resume('daily'),
  },
  'admin.schedules.trigger': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.schedules.trigger('daily'),
  },
  'admin.schedules.delete': {
    allowed: CHANGES,
    call: ({ taskmaster: { admin } }) => admin.schedules.delete('gone'),
  },
  'admin.workers.list': { allowed: LOOKS, call: ({ taskmaster: { admin } }) => admin.workers.list() },
  'admin.workers.quiet': { allowed: CHANGES, call: ({ taskmaster: { admin } }) => admin.workers.quiet(1) },
  'admin.workers.resume': { allowed: CHANGES, call: ({ taskmaster: { admin } }) => admin.workers.resume(1) },
  'admin.workers.stop': { allowed: CHANGES, call: ({ taskmaster: { admin } }) => admin.workers.stop(1) },
  'admin.batches.get': {
    allowed: LOOKS,
    call: ({ taskmaster: { admin }, batch }) => admin.batches.get(batch),
  },
};

/** Every function that plain SQL may call, and the tables, with who may. */
const SQL: Readonly<Record<string, readonly RoleName[]>> = {
  [`select {}.enqueue('mail', '{"a": 1}', '{"unique": {"key": "sql"}}')`]: ENQUEUES,
  [`select {}.enqueue_batch('[{"queue": "mail"}]')`]: ENQUEUES,
  [`select {}.emit('paid')`]: ENQUEUES,
  [`insert into {}.jobs (queue_name, payload) values ('mail', '{}')`]: ENQUEUES,
  [`insert into {}.jobs (queue_name, payload, unique_key) values ('mail', '{}', 'u')`]: CHANGES,
  [`select id from {}.jobs`]: [...LOOKS, 'producer'],
  [`select payload from {}.jobs`]: READS,
  [`select last_error, errors, meta, unique_key from {}.jobs`]: READS,
  [`select id, state, locked_by from {}.job_states`]: LOOKS,
  [`select payload from {}.job_states`]: READS,
  [`select payload, result, error from {}.finished_jobs`]: READS,
  [`select payload, options from {}.schedules`]: READS,
  [`select callbacks from {}.batches`]: READS,
  [`select * from {}.unique_keys`]: READS,
  [`select * from {}.steps`]: READS,
  [`select {}.explain(1)`]: READS,
  [`update {}.jobs set priority = 1 where id = 0`]: CHANGES,
  [`delete from {}.jobs where id = 0`]: CHANGES,
  [`select {}.cancel(0)`]: CHANGES,
  [`select {}.retry(0)`]: CHANGES,
  [`select {}.pause('idle')`]: CHANGES,
  [`select {}.prune(1)`]: CHANGES,
  [`insert into {}.migrations (version, name, breaking) values (99, 'x', true)`]: ['owner', 'migrator'],
  [`truncate {}.jobs`]: ['owner', 'migrator'],
  [`alter table {}.jobs add column mine integer`]: ['owner', 'migrator'],
  [`drop function {}.enqueue(text, jsonb, jsonb)`]: ['owner', 'migrator'],
  [`create table {}.mine ()`]: ['owner', 'migrator'],
  [`create function {}.mine() returns integer language sql as 'select 1'`]: ['owner', 'migrator'],
};

const setup = async () => {
  const database = await testDatabase();
  const { admin, publisher } = await openEngine(database);
  const jobs = new JobTable(database);
  await admin.queues.setMaxPending('limited', 1_000);
  await admin.schedules.upsert({ name: 'daily', cron: '0 0 * * *', queue: 'mail' });
  const roles = await roleSet(database);
  /** Each role tries each call on things of its own. */
  const world = async (taskmaster: Taskmaster): Promise<World> => {
    await jobs.insert('purged');
    const failed = { run_at: 'infinity', failed_at: '2026-01-01T00:00:00Z', run_count: 1 };
    const kept = await jobs.insert('mail');
    await database.query(
      `with gone as (delete from ${jobs.schema}.jobs where id = $1 returning *)
       insert into ${jobs.schema}.finished (id, queue_name, state, run_count, priority, created_at, expires_at, payload, result)
       select id, queue_name, 'completed', 1, 0, created_at, 'infinity', payload, '1' from gone`,
      [kept],
    );
    return {
      taskmaster,
      kept,
      waiting: await jobs.insert('mail', { run_at: LATER }),
      failed: await jobs.insert('mail', failed),
      letter: await jobs.insert('letters', {
        meta: { deadLetter: { queue: 'mail', id: '1', path: ['mail'] } },
      }),
      batch: (await publisher.batch(() => undefined, { open: true })).id,
    };
  };
  return { database, jobs, roles, world };
};

/** What came of a call: `ok`, or the code of what it threw. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    const { code, cause, message } = error as Error & { code: string; cause?: { code?: string } };
    return code === 'TM_PERMISSION_DENIED' &&
      cause?.code === '42501' &&
      /permission denied for .+grantsSql/.test(message)
      ? 'denied'
      : `${code}: ${message}`;
  }
}

describe.each(EVERYBODY)('the role of a %s', (role) => {
  it('may make these calls of the library, and is told of its privileges at the others', async () => {
    const { database, roles, world } = await setup();
    const taskmaster = await openEngine(database, {
      connection: roles.as(role),
      ...NO_BELLS,
      migrations: 'verify',
    });
    const outcomes: Record<string, string> = {};
    for (const [name, { call }] of Object.entries(CALLS))
      outcomes[name] = await outcomeOf(call(await world(taskmaster)));
    const expected = Object.entries(CALLS).map(([name, { allowed }]) => [
      name,
      allowed.includes(role) ? 'ok' : 'denied',
    ]);
    expect(outcomes).toEqual(Object.fromEntries(expected));
  });

  it('may run these statements of plain SQL, and gets 42501 for the others', async () => {
    const { database, roles } = await setup();
    const taskmaster = engine(database, { connection: roles.as(role) });
    const client = await taskmaster.pool.connect();
    const outcomes: Record<string, string> = {};
    for (const statement of Object.keys(SQL)) {
      await client.query('begin');
      outcomes[statement] = await client.query(statement.replaceAll('{}.', `"${database.schema}".`)).then(
        () => 'ok',
        (error: { code: string }) => error.code,
      );
      await client.query('rollback');
    }
    client.release();
    const expected = Object.entries(SQL).map(([statement, allowed]) => [
      statement,
      allowed.includes(role) ? 'ok' : '42501',
    ]);
    expect(outcomes).toEqual(Object.fromEntries(expected));
  });
});

describe('the role of a worker', () => {
  it('runs jobs, keeps what has ended in partitions, and has no rights to make tables', async () => {
    const { database, roles, jobs } = await setup();
    const kept = { retention: { completedMs: 86_400_000 }, handle: () => 'done' };
    const options = { connection: roles.as('worker'), migrations: 'verify' } as const;
    const { taskmaster, log } = await workingEngine(database, { kept }, options);
    const { id } = await taskmaster.publisher.enqueue('kept', {}, { group: 'a' });
    await eventually(async () => (await taskmaster.admin.jobs.get(id))?.state === 'completed');
    await taskmaster.stop();
    await taskmaster.start(); // prunes, and now knows how long this queue keeps
    const partitions = await database.query(
      `select from pg_inherits where inhparent = '${jobs.schema}.finished'::regclass and inhrelid <> '${jobs.schema}.finished_default'::regclass`,
    );
    expect(partitions.length).toBeGreaterThan(0);
    expect(log.of('engineWarning').values).toEqual([]);
    expect(log.of('engineError').values).toEqual([]);
  });
});

describe('the role of a producer', () => {
  it('cannot run jobs, and says why', async () => {
    const { database, roles } = await setup();
    const taskmaster = await openEngine(database, { connection: roles.as('producer'), migrations: 'verify' });
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    await expect(taskmaster.start()).rejects.toMatchObject({
      code: 'TM_PERMISSION_DENIED',
      operation: 'start',
    });
  });
});

describe('the statements for the roles', () => {
  it('can be run again, and change nothing then', async () => {
    const { database, roles, jobs } = await setup();
    const rights = () =>
      database.query(
        `select relname, relacl::text, relowner from pg_class where relnamespace = '${jobs.schema}'::regnamespace
         union all select proname, proacl::text, proowner from pg_proc where pronamespace = '${jobs.schema}'::regnamespace order by 1, 2`,
      );
    const before = await rights();
    await roles.grant();
    expect(await rights()).toEqual(before);
  });

  it('let a member of the migrator install and change the schema, whoever runs the next migration', async () => {
    const database = await testDatabase({ migrated: false });
    const roles = await roleSet(database);
    await openEngine(database, { connection: roles.as('migrator') });
    const owners = await database.query<{ owner: string }>(
      `select distinct pg_get_userbyid(relowner) as owner from pg_class where relnamespace = '"${database.schema}"'::regnamespace
       union select distinct pg_get_userbyid(proowner) from pg_proc where pronamespace = '"${database.schema}"'::regnamespace`,
    );
    expect(owners).toEqual([{ owner: `${roles.prefix}_owner` }]);
    await roles.grant();
    const producer = await openEngine(database, { connection: roles.as('producer'), migrations: 'verify' });
    await producer.publisher.enqueue('mail');
  });

  it('name each object that there is, so that none is left out by mistake', async () => {
    const { database, jobs } = await setup();
    const tables = await database.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = '${jobs.schema}'::regnamespace and relkind in ('r', 'p', 'v')`,
    );
    const known = new Set(tables.map(({ name }) => name));
    const named = ROLE_GRANTS.flatMap(({ tables: granted = {} }) => Object.keys(granted)).filter(
      (name) => name !== '*',
    );
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
