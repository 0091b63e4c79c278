import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validatePayload } from '../../lib/engine/codec/payload-schema.js';
import type { StandardIssue, StandardSchema } from '../../lib/engine/codec/standard-schema.js';
import { InvalidPayloadError } from '../../lib/engine/errors.js';

const refusing = (issues: readonly StandardIssue[]): StandardSchema<unknown, never> => ({
  '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) },
});

describe('validatePayload', () => {
  it('answers with the output of the schema', async () => {
    const schema = z.object({ n: z.string().transform(Number), unit: z.string().default('kg') });
    await expect(validatePayload(schema, { n: '5', extra: true })).resolves.toEqual({ n: 5, unit: 'kg' });
  });

  it('awaits a schema that is asynchronous', async () => {
    const schema = z.string().refine((text) => Promise.resolve(text === 'right'), 'must be right');
    await expect(validatePayload(schema, 'right')).resolves.toBe('right');
    await expect(validatePayload(schema, 'wrong')).rejects.toThrow(
      'Invalid payload at payload: must be right',
    );
  });

  it('names the path of the first issue, and lists the messages of all', async () => {
    const schema = z.object({
      user: z.object({ tags: z.array(z.string('no text')) }),
      n: z.number('no number'),
    });
    const validated = validatePayload(schema, { user: { tags: ['a', 5] }, n: 'x' });
    await expect(validated).rejects.toBeInstanceOf(InvalidPayloadError);
    await expect(validated).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: 'payload.user.tags[1]',
      reason: 'no text; payload.n: no number',
    });
  });

  it('reads paths of keys, and of objects with a key', async () => {
    const schema = refusing([{ message: 'bad', path: ['a b', { key: 0 }, { key: 'c' }, Symbol('s')] }]);
    await expect(validatePayload(schema, {})).rejects.toMatchObject({
      path: 'payload["a b"][0].c[Symbol(s)]',
    });
  });

  it('lists no more than ten issues', async () => {
    const issues = Array.from({ length: 12 }, (_, index) => ({ message: `issue ${index}`, path: [index] }));
    await expect(validatePayload(refusing(issues), {})).rejects.toThrow(/issue 9; and 2 more$/);
  });

  it('refuses also when the schema gives no reason', async () => {
    await expect(validatePayload(refusing([]), {})).rejects.toThrow('payload: the schema refuses it');
  });

  it('lets an error of the schema itself through', async () => {
    const failure = new Error('the schema is broken');
    const schema: StandardSchema<unknown, never> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => {
          throw failure;
        },
      },
    };
    await expect(validatePayload(schema, {})).rejects.toBe(failure);
  });
});
