import { describe, expect, it } from 'vitest';
import { defineQueue } from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

/** Allowed: a name is data, never SQL. */
const NAMES = [
  'mail',
  'Mail',
  'mail.urgent',
  ' ',
  '.',
  '*',
  'off',
  'a,b',
  `it's "quoted"`,
  `'; drop table jobs;--`,
  '$$',
  '$1',
  '${x}',
  '%',
  '\\',
  '{"json": [1]}',
  '😀',
  'שלום',
  'caf\u00e9',
  'cafe\u0301',
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'x'.repeat(64),
  'x'.repeat(128),
  'é'.repeat(64),
];

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['an empty name', ''],
  ['129 bytes', 'x'.repeat(129)],
  ['129 bytes in 65 letters', 'é'.repeat(64) + 'x'],
  ['10,000 letters', 'x'.repeat(10_000)],
  ['a newline', 'a\nb'],
  ['a tab', 'a\tb'],
  ['NUL', 'a\0'],
  ['DEL', 'a\u007f'],
  ['a C1 character', 'a\u009b'],
  ['half of a surrogate pair', '\ud83d'],
  ['a number', 5],
  ['null', null],
  ['nothing', undefined],
  ['an object without a name', {}],
];

/** An engine with a handler for every name, and what they got. */
async function setup(...names: string[]) {
  const database = await testDatabase();
  const taskmaster = engine(database);
  const handled = new SignalPoint<{ handler: string; queue: string; payload: unknown }>();
  for (const queue of names) {
    taskmaster.register({
      queue,
      label: `handler of ${queue}`,
      handle: (payload: unknown, job) => handled.signal({ handler: queue, queue: job.queue, payload }),
    });
  }
  return { database, handled, taskmaster, jobs: `"${database.schema}".jobs` };
}

const routed = NAMES.map((name) => ({ handler: name, queue: name, payload: name })).toSorted(byHandler);

function byHandler(a: { handler: string }, b: { handler: string }): number {
  return a.handler < b.handler ? -1 : Number(a.handler > b.handler);
}

describe('odd names of queues', () => {
  it('lead each job of enqueue() to the handler of its queue', async () => {
    const { handled, taskmaster } = await setup(...NAMES);
    await taskmaster.start();
    await Promise.all(NAMES.map((name) => taskmaster.publisher.enqueue(name, name)));
    expect((await handled.count(NAMES.length)).toSorted(byHandler)).toEqual(routed);
  });

  it('lead each job of plain SQL to the handler of its queue, by bell', async () => {
    const { database, handled, taskmaster, jobs } = await setup(...NAMES);
    const listening = nextEvent(taskmaster.events, 'listenerRestored');
    await taskmaster.start();
    await listening;
    await database.query(
      `insert into ${jobs} (queue_name, payload) select name, to_jsonb(name) from unnest($1::text[]) as name`,
      [NAMES],
    );
    expect((await handled.count(NAMES.length)).toSorted(byHandler)).toEqual(routed);
  });

  it('lead each job of the function enqueue() to the handler of its queue', async () => {
    const { database, handled, taskmaster } = await setup(...NAMES);
    await taskmaster.start();
    for (const name of NAMES) {
      await database.query(`select "${database.schema}".enqueue($1, to_jsonb($1::text))`, [name]);
    }
    expect((await handled.count(NAMES.length)).toSorted(byHandler)).toEqual(routed);
  });

  it('work for jobs that are scheduled, retried and rejected', async () => {
    const { database, taskmaster, jobs } = await setup();
    for (const queue of NAMES) {
      const handle = () => {
        throw new Error('no');
      };
      taskmaster.register({ queue, label: queue, options: { maxAttempts: 2, backoff: 0 }, handle });
    }
    const failed = new SignalPoint<string>();
    taskmaster.events.subscribe((event) => event.type === 'failed' && failed.signal(event.queue));
    await taskmaster.start();
    await Promise.all(NAMES.map((name) => taskmaster.publisher.enqueue(name, name, { delayMs: 1 })));
    await failed.count(NAMES.length);
    const rows = await database.query<{ queue_name: string }>(
      `select queue_name from ${jobs} where run_count = 2`,
    );
    expect(rows.map((row) => row.queue_name).toSorted()).toEqual(NAMES.toSorted());
  });
});

describe('as the name of a queue', () => {
  it.each(REFUSED)('%s is refused by all who take one', async (_what, name) => {
    const { database, taskmaster, jobs } = await setup();
    await taskmaster.open();
    const refusal = expect.objectContaining({ code: 'TM_INVALID_QUEUE_NAME' });
    await expect(taskmaster.publisher.enqueue(name as string)).rejects.toEqual(refusal);
    await expect(taskmaster.publisher.enqueueMany(name as string, [1])).rejects.toEqual(refusal);
    await expect(taskmaster.publisher.enqueueMany([{ queue: name as string }])).rejects.toEqual(refusal);
    expect(() => defineQueue(name as string)).toThrow(refusal);
    const registration = { queue: name as string, label: 'handler', handle: () => undefined };
    expect(() => taskmaster.register(registration)).toThrow(refusal);
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });
});
