import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InvalidOptionsError, InvalidQueueNameError } from '../../lib/engine/errors.js';
import { defineQueue } from '../../lib/engine/job/define-queue.js';

describe('defineQueue', () => {
  it('keeps the name and the options', () => {
    const schema = z.object({ to: z.string() });
    const queue = defineQueue('mail', { schema, concurrency: 3, backoff: [1_000, 5_000] });
    expect(queue).toEqual({ name: 'mail', options: { schema, concurrency: 3, backoff: [1_000, 5_000] } });
    expect(queue.options.schema).toBe(schema);
  });

  it('needs no options', () => {
    expect(defineQueue('mail')).toEqual({ name: 'mail', options: {} });
  });

  it('is frozen, and independent of the object the options came in', () => {
    const options = { concurrency: 3 };
    const queue = defineQueue('mail', options);
    options.concurrency = 4;
    expect(queue.options.concurrency).toBe(3);
    expect(Object.isFrozen(queue)).toBe(true);
    expect(Object.isFrozen(queue.options)).toBe(true);
  });

  it('refuses a bad name at once', () => {
    expect(() => defineQueue('')).toThrow(InvalidQueueNameError);
  });

  it('refuses bad options at once, naming the queue and every problem', () => {
    const define = () => defineQueue('mail', { concurency: 3, maxAttempts: 0 } as never);
    expect(define).toThrow(InvalidOptionsError);
    expect(define).toThrow(
      'Invalid options for defineQueue("mail"):\n' +
        '  - concurency: unknown option, did you mean "concurrency"?\n' +
        '  - maxAttempts: expected an integer from 1 to 1000000, got 0',
    );
  });

  it.each([null, 5, 'x', []])('refuses %j as options', (options) => {
    expect(() => defineQueue('mail', options as never)).toThrow(InvalidOptionsError);
  });
});
