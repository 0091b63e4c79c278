import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineQueue, type EnqueueOptions } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { nextEvent } from '../support/next-event.js';
import { testDatabase } from '../support/test-database.js';

const setup = async () => {
  const database = await testDatabase();
  const { events, publisher } = await openEngine(database);
  const jobs = `"${database.schema}".jobs`;
  return { database, events, publisher, jobs };
};

describe('enqueue()', () => {
  it('stores the job and answers with its id as a string', async () => {
    const { database, publisher, jobs } = await setup();
    const job = await publisher.enqueue('mail', { to: 'a@example.com' });
    expect(job).toEqual({ id: '1', queue: 'mail', deduplicated: false });
    expect(await database.query(`select id, queue_name, payload, run_count, run_at from ${jobs}`)).toEqual([
      { id: '1', queue_name: 'mail', payload: { to: 'a@example.com' }, run_count: 0, run_at: null },
    ]);
  });

  it('keeps the precision of ids beyond 2^53', async () => {
    const { database, publisher, jobs } = await setup();
    await database.query(`alter table ${jobs} alter id restart with 9007199254740993`);
    expect((await publisher.enqueue('mail')).id).toBe('9007199254740993');
  });

  it('stores no payload as {}', async () => {
    const { database, publisher, jobs } = await setup();
    await publisher.enqueue('mail');
    await publisher.enqueue('mail', undefined);
    expect(await database.query(`select payload from ${jobs}`)).toEqual([{ payload: {} }, { payload: {} }]);
  });

  it('schedules the job delayMs from now, by the clock of the database', async () => {
    const { database, publisher, jobs } = await setup();
    await publisher.enqueue('mail', {}, { delayMs: 90_000 });
    const [row] = await database.query(`select (run_at - created_at)::text as delay from ${jobs}`);
    expect(row).toEqual({ delay: '00:01:30' });
  });

  it('schedules the job at runAt, to the millisecond', async () => {
    const { database, publisher, jobs } = await setup();
    const runAt = new Date('2999-12-31T23:59:59.123Z');
    await publisher.enqueue('mail', {}, { runAt });
    expect(await database.query(`select run_at from ${jobs}`)).toEqual([{ run_at: runAt }]);
  });

  it('stores the priority and the attempts where they can be seen', async () => {
    const { database, publisher, jobs } = await setup();
    await publisher.enqueue('mail', {}, { priority: -32_768, maxAttempts: 3 });
    await publisher.enqueue('mail', {}, { priority: 32_767 });
    expect(await database.query(`select priority, max_attempts from ${jobs} order by id`)).toEqual([
      { priority: -32_768, max_attempts: 3 },
      { priority: 32_767, max_attempts: null },
    ]);
  });

  it('stores what only the worker reads', async () => {
    const { database, publisher, jobs } = await setup();
    const options = { timeoutMs: 5_000, backoff: [1, 2], tags: ['a'], headers: { traceparent: '00-1' } };
    await publisher.enqueue('mail', {}, options);
    await publisher.enqueue('mail', {}, { timeoutMs: Infinity });
    expect(await database.query(`select meta from ${jobs} order by id`)).toEqual([
      { meta: options },
      { meta: { timeoutMs: 'Infinity' } },
    ]);
  });

  it('tells of the job once it is stored', async () => {
    const { events, publisher } = await setup();
    const enqueued = nextEvent(events, 'enqueued');
    const { id } = await publisher.enqueue('mail');
    expect(await enqueued).toMatchObject({ queue: 'mail', jobId: id, instance: 'default' });
  });

  it.each([
    ['an unknown option', { delay: 5 }, 'delay: unknown option, did you mean "delayMs"?'],
    [
      'a priority that is no smallint',
      { priority: 32_768 },
      'priority: expected an integer from -32768 to 32767, got 32768',
    ],
    ['a negative delay', { delayMs: -1 }, expect.stringContaining('delayMs: expected an integer from 0')],
    ['two times', { delayMs: 1, runAt: new Date() }, 'delayMs: excludes runAt, and both were given'],
  ])('refuses %s before any SQL', async (_what, options, problem) => {
    const { database, publisher, jobs } = await setup();
    await expect(publisher.enqueue('mail', {}, options as EnqueueOptions)).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      subject: 'enqueue("mail")',
      problems: [problem],
    });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });
});

describe('enqueue() to a queue with a schema', () => {
  const Mail = defineQueue('mail', { schema: z.object({ to: z.email() }) });

  it('stores a payload that the schema accepts', async () => {
    const { database, publisher, jobs } = await setup();
    await publisher.enqueue(Mail, { to: 'a@example.com' });
    expect(await database.query(`select payload from ${jobs}`)).toEqual([
      { payload: { to: 'a@example.com' } },
    ]);
  });

  it('refuses one that it does not, naming the path', async () => {
    const { database, publisher, jobs } = await setup();
    await expect(publisher.enqueue(Mail, { to: 'nobody' })).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: 'payload.to',
    });
    expect(await database.query(`select from ${jobs}`)).toEqual([]);
  });
});
