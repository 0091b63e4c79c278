import { describe, expect, it } from 'vitest';
import { ack, reject } from '../../../lib/engine/index.js';
import { engine } from '../../support/engine.js';
import { SignalPoint } from '../../support/signal-point.js';
import { testDatabase } from '../../support/test-database.js';

/** The test of the original that publishes six numbers and acks the even ones. Its order holds with one slot, as there. */
describe('a consumer that acks even numbers and rejects odd ones', () => {
  it('leaves the odd ones in the table, run once', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database);
    const acked: number[] = [];
    const rejected: number[] = [];
    const settled = new SignalPoint();
    taskmaster.events.subscribe(({ type }) => {
      if (type === 'completed' || type === 'failed') settled.signal();
    });
    taskmaster.register({
      queue: 'numbers',
      label: 'numbers',
      options: { concurrency: 1 },
      handle: ({ number }: { number: number }) => {
        const even = number % 2 === 0;
        (even ? acked : rejected).push(number);
        return even ? ack() : reject(`${number} is odd`);
      },
    });
    await taskmaster.start();
    for (const number of [1, 2, 3, 4, 5, 6]) await taskmaster.publisher.enqueue('numbers', { number });
    await settled.count(6);
    expect({ acked, rejected }).toEqual({ acked: [2, 4, 6], rejected: [1, 3, 5] });
    const left = await database.query(
      `select payload, run_count, state, locked_at, locked_by from "${database.schema}".job_states order by id`,
    );
    expect(left).toEqual(
      [1, 3, 5].map((number) => ({
        payload: { number },
        run_count: 1,
        state: 'failed',
        locked_at: null,
        locked_by: null,
      })),
    );
  });
});
