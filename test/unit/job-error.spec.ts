import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { JOB_ERROR_LIMITS, toJobError } from '../../lib/engine/job/job-error.js';
import { reject, retry } from '../../lib/engine/job/outcome.js';

const bytes = (text: string | undefined) => Buffer.byteLength(text ?? '');

describe('toJobError', () => {
  it('keeps name, message, code and stack of an error', () => {
    const error = Object.assign(new TypeError('no such user'), { code: 'E_USER' });
    expect(toJobError(error)).toEqual({
      name: 'TypeError',
      message: 'no such user',
      code: 'E_USER',
      stack: error.stack,
    });
  });

  it('keeps a numeric code as text, and no code of another kind', () => {
    expect(toJobError(Object.assign(new Error('x'), { code: 404 })).code).toBe('404');
    expect(toJobError(Object.assign(new Error('x'), { code: { a: 1 } }))).not.toHaveProperty('code');
  });

  const THROWN: Record<string, [thrown: unknown, message: string]> = {
    'a string': ['boom', 'boom'],
    'an empty string': ['', ''],
    undefined: [undefined, 'undefined'],
    null: [null, 'null'],
    '0': [0, '0'],
    'a BigInt': [5n, '5'],
    'a symbol': [Symbol('boom'), 'Symbol(boom)'],
    'a function': [() => 1, 'a function was thrown'],
    'a plain object': [{ field: 'email', status: 409 }, '{"field":"email","status":409}'],
    'a frozen object': [Object.freeze({ status: 409 }), '{"status":409}'],
    'an array': [['a', 1], '["a",1]'],
    'an instance of a class': [new Map([['secret', 1]]), 'an object without a message was thrown (Map)'],
    'an object that is no JSON': [{ run: () => 1 }, 'an object without a message was thrown'],
    'the copy of a database error': [
      { severity: 'ERROR', code: '23505', detail: 'Key (email)=(a@b) already exists.' },
      'an object without a message was thrown',
    ],
  };

  it.each(Object.entries(THROWN))('takes %s', (_, [thrown, message]) => {
    expect(toJobError(thrown)).toEqual({ name: 'NonError', message });
  });

  it('names what is no error as it is told to', () => {
    expect(toJobError('not an address', 'Reject')).toEqual({ name: 'Reject', message: 'not an address' });
  });

  it('takes an object with a message for an error', () => {
    expect(toJobError({ message: 'remote', code: 'E1' })).toEqual({
      name: 'Error',
      message: 'remote',
      code: 'E1',
    });
  });

  it('takes an error of another realm', () => {
    const error = toJobError(vm.runInNewContext('new RangeError("from afar")'));
    expect(error).toMatchObject({ name: 'RangeError', message: 'from afar' });
    expect(error.stack).toContain('from afar');
  });

  it('takes a frozen error', () => {
    expect(toJobError(Object.freeze(new Error('cold')))).toMatchObject({ name: 'Error', message: 'cold' });
  });

  it('does without the properties whose getters throw', () => {
    const error = new Error('kept');
    for (const key of ['stack', 'name', 'code', 'cause']) {
      Object.defineProperty(error, key, {
        get() {
          throw new Error('not this one');
        },
      });
    }
    expect(toJobError(error)).toEqual({ name: 'Error', message: 'kept' });
  });

  it('takes a revoked proxy', () => {
    const { proxy, revoke } = Proxy.revocable(new Error('gone'), {});
    revoke();
    expect(toJobError(proxy)).toEqual({
      name: 'NonError',
      message: 'an object without a message was thrown',
    });
  });

  it('copies nothing else of an error, such as the detail of a database error', () => {
    const fields = {
      code: '23505',
      detail: 'Key (email)=(secret)',
      where: 'secret',
      hint: 'secret',
      query: 'secret',
    };
    const stored = toJobError(Object.assign(new Error('duplicate key'), fields));
    expect(Object.keys(stored).toSorted()).toEqual(['code', 'message', 'name', 'stack']);
    expect(JSON.stringify(stored)).not.toContain('secret');
  });

  describe('with text that cannot be stored', () => {
    it('puts U+FFFD for NUL and lone surrogates, everywhere', () => {
      const error = Object.assign(new Error('a\0b\ud83dc'), { code: 'E\0', cause: 'd\udce8' });
      error.name = 'N\0';
      const stored = toJobError(error);
      expect(stored).toMatchObject({ name: 'N\ufffd', message: 'a\ufffdb\ufffdc', code: 'E\ufffd' });
      expect(stored.cause?.message).toBe('d\ufffd');
      expect(stored.stack).toContain('a\ufffdb\ufffdc');
    });
  });

  describe('with too much text', () => {
    it.each(['x', 'é', '漢', '📬'])('cuts a message of 10 MB of %s at a whole character', (character) => {
      const stored = toJobError(new Error(character.repeat(10_000_000 / bytes(character))));
      expect(bytes(stored.message)).toBeLessThanOrEqual(JOB_ERROR_LIMITS.message);
      expect(bytes(stored.message)).toBeGreaterThan(JOB_ERROR_LIMITS.message - 8);
      expect(stored.message.replaceAll(character, '')).toBe('…');
    });

    it('leaves a message of exactly the limit whole', () => {
      const message = 'x'.repeat(JOB_ERROR_LIMITS.message);
      expect(toJobError(new Error(message)).message).toBe(message);
    });

    it('keeps the frames of a stack that begins with a long message', () => {
      const stored = toJobError(new Error('x'.repeat(1_000_000)));
      expect(bytes(stored.stack)).toBeLessThan(JOB_ERROR_LIMITS.stack);
      expect(stored.stack).toContain('job-error.spec.ts');
    });

    it('cuts a long stack', () => {
      const error = Object.assign(new Error('x'), { stack: 'frame\n'.repeat(100_000) });
      expect(bytes(toJobError(error).stack)).toBeLessThanOrEqual(JOB_ERROR_LIMITS.stack);
    });

    it('cuts a long name and a long code', () => {
      const error = Object.assign(new Error('x'), { name: 'N'.repeat(10_000), code: 'C'.repeat(10_000) });
      const stored = toJobError(error);
      expect(bytes(stored.name)).toBeLessThanOrEqual(JOB_ERROR_LIMITS.name);
      expect(bytes(stored.code)).toBeLessThanOrEqual(JOB_ERROR_LIMITS.code);
    });
  });

  describe('with causes', () => {
    it('keeps them', () => {
      const stored = toJobError(new Error('outer', { cause: new TypeError('inner', { cause: 'root' }) }));
      expect(stored.cause).toMatchObject({ name: 'TypeError', message: 'inner' });
      expect(stored.cause?.cause).toEqual({ name: 'NonError', message: 'root' });
    });

    it('keeps five of them', () => {
      let error = new Error('0');
      for (let depth = 1; depth <= 20; depth += 1) error = new Error(String(depth), { cause: error });
      expect(messages(error)).toEqual(['20', '19', '18', '17', '16', '15']);
    });

    it('ends a circle where it closes', () => {
      const a = new Error('a');
      const b = new Error('b', { cause: a });
      a.cause = b;
      expect(messages(b)).toEqual(['b', 'a']);
    });

    it('takes the first part of an AggregateError for its cause, and their messages where it has none', () => {
      const parts = [new Error('ECONNREFUSED ::1'), new Error('ECONNREFUSED 127.0.0.1')];
      expect(toJobError(new AggregateError(parts))).toMatchObject({
        name: 'AggregateError',
        message: 'ECONNREFUSED ::1; ECONNREFUSED 127.0.0.1',
        cause: { message: 'ECONNREFUSED ::1' },
      });
      expect(toJobError(new AggregateError([], 'none')).message).toBe('none');
    });
  });

  it('takes what reject() and retry() made, and says their reason once', () => {
    expect(toJobError(reject('bad address'))).toMatchObject({ name: 'Reject', message: 'bad address' });
    expect(toJobError(reject('bad address'))).not.toHaveProperty('cause');
    expect(toJobError(retry({ reason: new Error('busy') })).cause).toMatchObject({ message: 'busy' });
  });
});

function messages(error: Error): string[] {
  const found: string[] = [];
  for (
    let stored: ReturnType<typeof toJobError> | undefined = toJobError(error);
    stored;
    stored = stored.cause
  ) {
    found.push(stored.message);
  }
  return found;
}
