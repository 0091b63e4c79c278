import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { type Job, PublisherService, QueueHandler, TaskmasterAdmin } from '../../lib/index.js';
import { SignalPoint } from '../support/signal-point.js';
import { nestApp } from './support/nest-app.js';

class Declined extends Error {}

describe('@QueueHandler with rules for errors and a dead-letter queue', () => {
  it('rejects by the rule, and hands the letter to its handler; the admin moves one back', async () => {
    const letters = new SignalPoint<Job>();
    let declined = true;
    const charged = new SignalPoint<unknown>();

    @Injectable()
    class Payments {
      @QueueHandler('charge', { errors: [{ match: Declined, reject: true }], deadLetter: 'failed_charge' })
      charge(payload: unknown) {
        if (declined) throw new Declined('no funds');
        charged.signal(payload);
      }

      @QueueHandler('failed_charge')
      failed(_payload: unknown, job: Job) {
        letters.signal(job);
        throw new Error('kept');
      }
    }

    const { get } = await nestApp({ providers: [Payments] });
    const { id } = await get(PublisherService).enqueue('charge', { amount: 5 });
    const [letter] = await letters.count(1);
    expect(letter!.deadLetter).toMatchObject({
      queue: 'charge',
      id,
      attempts: 1,
      error: { message: 'no funds' },
    });
    declined = false;
    const { jobs } = get(TaskmasterAdmin);
    await expect.poll(async () => (await jobs.redrive({ source: 'charge' })).count).toBe(1);
    expect(await charged.count(1)).toEqual([{ amount: 5 }]);
    expect((await jobs.list()).jobs.map((job) => [job.id, job.state])).toContainEqual([id, 'failed']);
  });

  it('stops the boot when a queue is its own dead-letter queue', async () => {
    @Injectable()
    class Payments {
      @QueueHandler('charge', { deadLetter: 'charge' })
      charge() {}
    }
    await expect(nestApp({ providers: [Payments] })).rejects.toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      message: expect.stringContaining('Payments.charge'),
    });
  });
});
