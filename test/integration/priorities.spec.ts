import { describe, expect, it } from 'vitest';
import type { Job } from '../../lib/engine/index.js';
import { openEngine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import { workingEngine } from './support/working-engine.js';

const setup = async () => {
  const database = await testDatabase();
  const { publisher } = await openEngine(database);
  const order = new SignalPoint<unknown>();
  return { database, publisher, order };
};

describe('a job with a smaller priority', () => {
  it('runs before others, and in the order of the enqueues among its own', async () => {
    const { database, publisher, order } = await setup();
    for (const [payload, priority] of [
      ['late', 5],
      ['first', -5],
      ['second', -5],
      ['normal', 0],
    ] as const)
      await publisher.enqueue('mail', payload, { priority });
    await workingEngine(database, {
      mail: { concurrency: 1, handle: (job) => order.signal(job.payload) },
    });
    expect(await order.count(4)).toEqual(['first', 'second', 'normal', 'late']);
  });
});

describe('a job that waits', () => {
  it('for long enough in a queue with ageing runs before more urgent ones that have come later', async () => {
    const { database, publisher, order } = await setup();
    const closed = gate();
    const handle = async (job: Job<string>) => {
      order.signal(job.payload);
      if (job.payload === 'holds') await closed.pass();
    };
    await publisher.enqueue('mail', 'holds', { priority: -1 });
    await workingEngine(database, { mail: { concurrency: 1, ageing: { everyMs: 200 }, handle } });
    await order.count(1);
    const { id } = await publisher.enqueue('mail', 'old', { priority: 5 });
    await expect
      .poll(
        async () =>
          (await database.query(`select priority from "${database.schema}".jobs where id = $1`, [id]))[0],
        {
          timeout: 20_000,
        },
      )
      .toEqual({ priority: -1 }); // as urgent as the most urgent there is, and no more
    await publisher.enqueue('mail', 'young', { priority: 0 });
    closed.open();
    expect(await order.count(3)).toEqual(['holds', 'old', 'young']);
  });

  it('in a queue without ageing keeps its priority, however long', async () => {
    const { database, publisher, order } = await setup();
    const { id } = await publisher.enqueue('mail', 'old', { priority: 5 });
    await database.query(
      `update "${database.schema}".jobs set created_at = now() - interval '1 day', ready_at = now() - interval '1 day'`,
    );
    await publisher.enqueue('other');
    await workingEngine(database, {
      other: { ageing: { everyMs: 100 }, handle: () => order.signal('other') },
    });
    await order.count(1);
    await database.query(`select "${database.schema}".age_jobs(1000)`);
    const [job] = await database.query(`select priority from "${database.schema}".jobs where id = $1`, [id]);
    expect(job).toEqual({ priority: 5 });
  });
});
