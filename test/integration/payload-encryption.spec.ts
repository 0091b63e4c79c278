import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { defineQueue, type TaskmasterOptions } from '../../lib/engine/index.js';
import { engine, openEngine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { aes } from './support/aes.js';
import { EventLog } from './support/event-log.js';
import { JobTable } from './support/job-table.js';
import { tableDump as dump } from './support/table-dump.js';

const CANARY = 'canary-4711';

const KEYS = { k1: randomBytes(32) };
const encryption = aes(KEYS);
interface Secret {
  readonly secret: string;
  readonly n?: number;
}
const SECRETS = defineQueue<Secret>('secrets', { encryption });

const working = async (database: TestDatabase, queue = SECRETS, options: Partial<TaskmasterOptions> = {}) => {
  const taskmaster = engine(database, options);
  const log = new EventLog(taskmaster.events);
  const handled = new SignalPoint<Secret>();
  taskmaster.register({ queue, label: 'secrets', handle: (payload: Secret) => handled.signal(payload) });
  await taskmaster.start();
  return { taskmaster, handled, log };
};

describe('an encrypted queue', () => {
  it('has no payload in clear anywhere, and its handler gets it in clear', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    await publisher.enqueue(SECRETS, { secret: CANARY });
    await publisher.enqueueMany(SECRETS, [{ secret: CANARY }, { secret: CANARY }]);
    await publisher.enqueueMany([{ queue: SECRETS, payload: { secret: CANARY } }]);
    await publisher.flow((flow) => void flow.add(SECRETS, { secret: CANARY }));
    expect(await dump(database)).not.toContain(CANARY);
    const [stored] = await database.query('select payload from taskmaster.jobs limit 1');
    expect(stored!['payload']).toEqual({
      $encrypted: { data: expect.any(String), keyId: 'k1', queue: 'secrets' },
    });
    const { handled, log } = await working(database);
    expect(await handled.count(5)).toEqual(Array(5).fill({ secret: CANARY }));
    expect(JSON.stringify(log.all)).not.toContain(CANARY);
  });

  it('encrypts what is enqueued by its name, where its handler or definition is known', async () => {
    const database = await testDatabase();
    const { taskmaster, handled } = await working(database);
    await taskmaster.publisher.enqueue('secrets', { secret: CANARY });
    await handled.count(1);
    await taskmaster.stop();
    const known = await openEngine(database, { queues: [SECRETS] });
    await known.publisher.enqueue('secrets', { secret: CANARY });
    expect(await dump(database)).not.toContain(CANARY);
  });

  it('takes payloads that plain SQL has stored in clear', async () => {
    const database = await testDatabase();
    await new JobTable(database).insert('secrets', { payload: '{"secret": "clear"}' });
    const { handled } = await working(database);
    expect(await handled.count(1)).toEqual([{ secret: 'clear' }]);
  });

  it('reads what older keys have encrypted', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    await publisher.enqueue(SECRETS, { secret: 'old' });
    const rotated = defineQueue<Secret>('secrets', { encryption: aes({ ...KEYS, k2: randomBytes(32) }) });
    await publisher.enqueue(rotated, { secret: 'new' });
    const { handled } = await working(database, rotated);
    expect(await handled.count(2)).toEqual([{ secret: 'old' }, { secret: 'new' }]);
  });

  it('retries what it cannot decrypt, by the policy, and says nothing of the payload', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const { id } = await publisher.enqueue(SECRETS, { secret: CANARY }, { maxAttempts: 2, backoff: 0 });
    await working(database, defineQueue<Secret>('secrets', { encryption: aes({ k1: randomBytes(32) }) }));
    const job = await new JobTable(database).in(id, 'failed');
    expect(job).toMatchObject({ run_count: 2, last_error: { code: 'TM_PAYLOAD_ENCRYPTION' } });
    expect(await dump(database)).not.toContain(CANARY);
  });

  it('fails a job whose handler does not know of the encryption', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const { id } = await publisher.enqueue(SECRETS, { secret: CANARY }, { maxAttempts: 1 });
    const { handled } = await working(database, defineQueue<Secret>('secrets'));
    const job = await new JobTable(database).in(id, 'failed');
    expect(job.last_error?.message).toContain('the queue has no option "encryption" here');
    expect(handled.values).toEqual([]);
  });

  it('stores nothing when it cannot encrypt', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const broken = defineQueue('secrets', {
      encryption: { ...encryption, encrypt: () => Promise.reject(new Error('no key')) },
    });
    await expect(publisher.enqueue(broken, { secret: CANARY })).rejects.toMatchObject({
      code: 'TM_PAYLOAD_ENCRYPTION',
      operation: 'encrypt',
    });
    const wrong = defineQueue('secrets', {
      encryption: { ...encryption, encrypt: async () => ({ data: 'text', keyId: '' }) as never },
    });
    await expect(publisher.enqueue(wrong, {})).rejects.toThrow(
      'must answer with { data: Uint8Array, keyId: string }',
    );
    expect(await new JobTable(database).all()).toEqual([]);
  });

  it('makes keys of unique jobs and of limits from the payload in clear, and merges nothing', async () => {
    const database = await testDatabase();
    const { publisher } = await openEngine(database);
    const unique = { fields: ['n'] };
    const first = await publisher.enqueue(SECRETS, { secret: CANARY, n: 1 }, { unique });
    const second = await publisher.enqueue(SECRETS, { secret: 'x', n: 1 }, { unique });
    expect(second).toEqual({ ...first, deduplicated: true });
    await publisher.enqueue(SECRETS, { secret: 'y', n: 1 }, { unique: { ...unique, onConflict: 'replace' } });
    await expect(
      publisher.enqueue(SECRETS, { secret: 'z', n: 1 }, { unique: { ...unique, onConflict: 'merge' } }),
    ).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
    const { handled } = await working(database);
    expect(await handled.count(1)).toEqual([{ secret: 'y', n: 1 }]);
  });

  it('lets dead letters, edits and schedules keep it encrypted', async () => {
    const database = await testDatabase();
    const letters = defineQueue<Secret>('letters', { encryption });
    const failing = defineQueue<Secret>('secrets', { encryption, deadLetter: 'letters', maxAttempts: 1 });
    const taskmaster = engine(database, { queues: [letters, SECRETS] });
    const dead = new SignalPoint<Secret>();
    taskmaster.register({
      queue: failing,
      label: 'secrets',
      handle: () => {
        throw new Error('no');
      },
    });
    await taskmaster.start();
    const { id } = await taskmaster.publisher.enqueue(failing, { secret: CANARY });
    await new JobTable(database).in(id, 'failed');
    const edit = ({ secret }: Secret) => ({ secret: `${secret}!` });
    await taskmaster.admin.jobs.requeue(id, { edit, delayMs: 60_000 });
    await taskmaster.admin.schedules.upsert({
      name: 'secretly',
      queue: letters,
      cron: '0 0 1 1 *',
      payload: { secret: CANARY },
    });
    expect(await dump(database)).not.toContain(CANARY);
    taskmaster.register({
      queue: letters,
      label: 'letters',
      handle: (payload: Secret) => dead.signal(payload),
    });
    await taskmaster.admin.schedules.trigger('secretly');
    expect(await dead.count(2)).toEqual([{ secret: CANARY }, { secret: CANARY }]);
    const record = await taskmaster.admin.jobs.get(id);
    expect(JSON.stringify(record)).not.toContain(CANARY);
  });
});
