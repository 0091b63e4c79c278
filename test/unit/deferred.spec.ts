import { describe, expect, it } from 'vitest';
import { Deferred } from '../../lib/engine/lifecycle/deferred.js';

describe('Deferred', () => {
  it('resolves from outside', async () => {
    const deferred = new Deferred<number>();
    deferred.resolve(5);
    await expect(deferred.promise).resolves.toBe(5);
  });

  it('rejects from outside', async () => {
    const deferred = new Deferred<number>();
    deferred.reject(new Error('no'));
    await expect(deferred.promise).rejects.toThrow('no');
  });

  it('keeps the first answer', async () => {
    const deferred = new Deferred<number>();
    deferred.resolve(1);
    deferred.resolve(2);
    deferred.reject(new Error('late'));
    await expect(deferred.promise).resolves.toBe(1);
  });

  it('hands out methods that work on their own', async () => {
    const { promise, resolve } = new Deferred<string>();
    resolve('done');
    await expect(promise).resolves.toBe('done');
  });
});
