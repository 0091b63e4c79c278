import { describe, expect, it } from 'vitest';
import { InvalidQueueNameError } from '../../lib/engine/errors.js';
import { assertQueueName, queueNameOf } from '../../lib/engine/job/queue-name.js';
import { thrownBy } from '../support/thrown-by.js';

const ALLOWED = {
  'a letter': 'a',
  'a space': ' ',
  'a dot': '.',
  'a hierarchy': 'mail.welcome',
  capitals: 'SendEmail',
  quotes: `it's "quoted"`,
  SQL: "'; drop table x;--",
  'dollar quotes': '$$',
  'a wildcard': '%_*',
  'a backslash': 'a\\b',
  'an emoji': '📬',
  'right to left': 'דואר',
  'composed and decomposed': 'é é',
  'a prototype key': '__proto__',
  'a method name': 'toString',
  '128 bytes of ASCII': 'x'.repeat(128),
  '128 bytes of emoji': '📬'.repeat(32),
};

const REFUSED: Record<string, [name: unknown, reason: RegExp]> = {
  'an empty string': ['', /empty/],
  '129 bytes of ASCII': ['x'.repeat(129), /129 bytes/],
  '129 bytes, fewer characters': [`${'é'.repeat(64)}x`, /129 bytes/],
  '10,000 characters': ['x'.repeat(10_000), /10000 bytes/],
  'a newline': ['a\nb', /control/],
  NUL: ['a\0b', /control/],
  DEL: ['a\u007fb', /control/],
  'a C1 control': ['a\u009bb', /control/],
  'half of a surrogate pair': ['a\ud83d', /surrogate/],
  undefined: [undefined, /not a string/],
  null: [null, /not a string/],
  'a number': [5, /not a string/],
  'a BigInt': [5n, /not a string/],
  'a String object': [new String('mail'), /not a string/],
};

describe('assertQueueName', () => {
  it.each(Object.entries(ALLOWED))('accepts %s', (_, name) => {
    expect(() => assertQueueName(name)).not.toThrow();
  });

  it.each(Object.entries(REFUSED))('refuses %s', (_, [name, reason]) => {
    expect(() => assertQueueName(name)).toThrow(InvalidQueueNameError);
    expect(() => assertQueueName(name)).toThrow(reason);
  });

  it('keeps its message short, and free of what acts on a terminal', () => {
    const { message } = thrownBy(() => assertQueueName(`\u009b31m\u001b[0m${'x'.repeat(10_000)}`)) as Error;
    expect(message.length).toBeLessThan(250);
    expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});

describe('queueNameOf', () => {
  it('is the string itself, or the name of a definition', () => {
    expect(queueNameOf('mail')).toBe('mail');
    expect(queueNameOf({ name: 'mail', options: {} })).toBe('mail');
  });

  it.each([undefined, null, {}, 5, ''])('refuses %s', (queue) => {
    expect(() => queueNameOf(queue as never)).toThrow(InvalidQueueNameError);
  });
});
