import { describe, expect, it } from 'vitest';
import { type Outcome, outcomeOfReturn, outcomeOfThrow } from '../../lib/engine/job/outcome-of.js';
import { SnoozeOutcome, ack, reject, retry, snooze } from '../../lib/engine/job/outcome.js';

const reason = new Error('no');

const SAID: Record<string, [said: unknown, outcome: Outcome]> = {
  'ack()': [ack(), { kind: 'ack', result: undefined }],
  'ack(value)': [ack({ n: 1 }), { kind: 'ack', result: { n: 1 } }],
  'reject(reason)': [reject(reason), { kind: 'reject', reason }],
  'retry()': [retry(), { kind: 'retry', delayMs: undefined, reason: undefined }],
  'retry({ delayMs, reason })': [retry({ delayMs: 5, reason }), { kind: 'retry', delayMs: 5, reason }],
  'snooze(delayMs)': [snooze(60_000), { kind: 'snooze', delayMs: 60_000 }],
};

const PLAIN = [undefined, null, 0, '', false, 'text', { kind: 'reject' }, [], Symbol('x'), 5n, () => 1];

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const ofAnotherVersion = () => Object.assign(new SnoozeOutcome(1), { kind: 'postpone' });

describe('outcomeOfReturn', () => {
  it.each(Object.entries(SAID))('understands %s', (_, [said, outcome]) => {
    expect(outcomeOfReturn(said)).toEqual(outcome);
  });

  it.each(PLAIN)('takes any other value for an ack with it: %s', (value) => {
    expect(outcomeOfReturn(value)).toEqual({ kind: 'ack', result: value });
  });

  it('takes an error that is returned, not thrown, for a result', () => {
    expect(outcomeOfReturn(reason)).toEqual({ kind: 'ack', result: reason });
  });

  it('takes a value that cannot be looked at for a result', () => {
    expect(outcomeOfReturn(revoked()).kind).toBe('ack');
  });

  it('takes the outcome of another copy of the package', () => {
    const foreign = { [Symbol.for('taskmaster:outcome')]: true, kind: 'snooze', delayMs: 5 };
    expect(outcomeOfReturn(foreign)).toEqual({ kind: 'snooze', delayMs: 5 });
  });

  it('does not ack what a newer copy of the package meant otherwise', () => {
    expect(outcomeOfReturn(ofAnotherVersion()).kind).toBe('error');
  });
});

describe('outcomeOfThrow', () => {
  it.each(Object.entries(SAID))('understands %s', (_, [said, outcome]) => {
    expect(outcomeOfThrow(said)).toEqual(outcome);
  });

  it.each([reason, ...PLAIN])('takes anything else for an error: %s', (value) => {
    expect(outcomeOfThrow(value)).toEqual({ kind: 'error', error: value });
  });

  it('takes a value that cannot be looked at for an error', () => {
    expect(outcomeOfThrow(revoked()).kind).toBe('error');
  });
});
