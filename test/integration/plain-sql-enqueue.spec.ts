import { describe, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const schema = `"${database.schema}"`;
  const enqueue = async (queue: string | null, payload: string | null, options?: string | null) => {
    const call = options === undefined ? `${schema}.enqueue($1, $2)` : `${schema}.enqueue($1, $2, $3)`;
    const [row] = await database.query<{ id: string }>(`select ${call} as id`, [
      queue,
      payload,
      ...(options === undefined ? [] : [options]),
    ]);
    return row!.id;
  };
  return { database, enqueue, jobs: `${schema}.jobs` };
};

describe('the function enqueue()', () => {
  it('answers with the id of the job', async () => {
    const { database, enqueue, jobs } = await setup();
    const id = await enqueue('mail', '{"n": 1}');
    expect(
      await database.query(
        `select id, queue_name, payload, run_at, priority, max_attempts, meta from ${jobs}`,
      ),
    ).toEqual([
      {
        id,
        queue_name: 'mail',
        payload: { n: 1 },
        run_at: null,
        priority: 0,
        max_attempts: null,
        meta: null,
      },
    ]);
  });

  it('stores no payload as {}', async () => {
    const { database, enqueue, jobs } = await setup();
    await enqueue('mail', null);
    expect(await database.query(`select payload from ${jobs}`)).toEqual([{ payload: {} }]);
  });

  it('takes the options of enqueue() by their names', async () => {
    const { database, enqueue, jobs } = await setup();
    const rest = { timeoutMs: 5_000, backoff: [1, 2], tags: ['a'], headers: { traceparent: '00-1' } };
    await enqueue('mail', '1', JSON.stringify({ priority: -3, maxAttempts: 2, delayMs: 90_000, ...rest }));
    const rows = await database.query(
      `select priority, max_attempts, (run_at - created_at)::text as delay, meta from ${jobs}`,
    );
    expect(rows).toEqual([{ priority: -3, max_attempts: 2, delay: '00:01:30', meta: rest }]);
  });

  it('takes runAt as ISO text', async () => {
    const { database, enqueue, jobs } = await setup();
    await enqueue('mail', '1', '{"runAt": "2999-12-31T23:59:59.123Z"}');
    const rows = await database.query(`select run_at from ${jobs}`);
    expect(rows).toEqual([{ run_at: new Date('2999-12-31T23:59:59.123Z') }]);
  });

  it('takes a timeout of Infinity as text, which JSON has no number for', async () => {
    const { database, enqueue, jobs } = await setup();
    await enqueue('mail', '1', '{"timeoutMs": "Infinity"}');
    expect(await database.query(`select meta from ${jobs}`)).toEqual([{ meta: { timeoutMs: 'Infinity' } }]);
  });

  it('is part of the transaction it is called in', async () => {
    const { database, jobs } = await setup();
    await database.query(`begin; select "${database.schema}".enqueue('mail', '1'); rollback`);
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it('gives the handler what was given to it', async () => {
    const { database, enqueue } = await setup();
    const taskmaster = engine(database);
    const handled = new SignalPoint<unknown>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      handle: (payload: unknown, { tags, headers, priority, maxAttempts }) =>
        handled.signal({ payload, tags, headers, priority, maxAttempts }),
    });
    await taskmaster.start();
    const given = { tags: ['a'], headers: { h: '1' }, priority: 4, maxAttempts: 2 };
    await enqueue('mail', '{"n": 1}', JSON.stringify(given));
    expect(await handled.count(1)).toEqual([{ payload: { n: 1 }, ...given }]);
  });

  it.each([
    ['an unknown option', ['mail', '1', '{"delay": 5}'], 'unknown option: delay'],
    ['several of them', ['mail', '1', '{"Priority": 1, "delay": 5}'], 'unknown option: delay, Priority'],
    ['options that are no object', ['mail', '1', '[1]'], 'options must be a JSON object'],
    ['no options', ['mail', '1', null], 'options must be a JSON object'],
    [
      'two times',
      ['mail', '1', '{"delayMs": 1, "runAt": "2999-01-01"}'],
      'delayMs and runAt exclude each other',
    ],
    ['no queue', [null, '1', '{}'], 'invalid queue name'],
    ['an empty queue name', ['', '1', '{}'], 'invalid queue name'],
    ['a queue name of 129 bytes', ['x'.repeat(129), '1', '{}'], 'invalid queue name'],
    ['a control character in the queue name', ['a\nb', '1', '{}'], 'invalid queue name'],
    ['a C1 character in the queue name', ['a\u009b', '1', '{}'], 'invalid queue name'],
  ] as const)('refuses %s', async (_what, [queue, payload, options], message) => {
    const { database, enqueue, jobs } = await setup();
    await expect(enqueue(queue, payload, options)).rejects.toMatchObject({
      code: '22023',
      message: expect.stringContaining(message),
    });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });

  it.each([
    ['a priority that is no smallint', '{"priority": 40000}'],
    ['a priority that is no number', '{"priority": "high"}'],
    ['no attempts', '{"maxAttempts": 0}'],
    ['a delay that is no number', '{"delayMs": "soon"}'],
    ['a date that is none', '{"runAt": "soon"}'],
    ['a timeout that is no number', '{"timeoutMs": "long"}'],
    ['a timeout of nothing', '{"timeoutMs": 0}'],
    ['tags that are no array', '{"tags": "a"}'],
    ['headers that are no object', '{"headers": ["a"]}'],
    ['a backoff that is none', '{"backoff": "slow"}'],
  ])('refuses %s', async (_what, options) => {
    const { database, enqueue, jobs } = await setup();
    await expect(enqueue('mail', '1', options)).rejects.toMatchObject({
      code: expect.stringMatching(/^2[23]/),
    });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });
});
