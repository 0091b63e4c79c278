import { describe, expect, it } from 'vitest';
import { Claimer } from '../../../lib/engine/worker/claimer.js';
import { gate } from '../../support/gate.js';
import { claimedJob } from './support/claimed-job.js';
import { testPool } from './support/test-pool.js';

/** A claimer of queues that are not known to be dry. */
function claimerOf(...queues: readonly string[]) {
  const claimer = new Claimer();
  const closed = gate();
  for (const queue of queues)
    claimer.add(testPool({ queue, concurrency: 3, handle: () => closed.pass() }).pool);
  return claimer;
}

const none = (claimer: Claimer) => claimer.answered(claimer.demand()!, [], claimer.mark);

describe('Claimer', () => {
  it('asks for every queue at first, as many jobs as its pool wants', () => {
    expect(claimerOf('a', 'b').demand()).toEqual({ queues: ['a', 'b'], limits: [3, 3], frees: [3, 3] });
  });

  it('does not ask again for a queue that gave less than was asked, until somebody says so', () => {
    const claimer = claimerOf('a', 'b');
    claimer.answered(claimer.demand()!, [{ queue: 'a', jobs: 3 }], claimer.mark);
    expect(claimer.demand()?.queues).toEqual(['a']);
    none(claimer);
    expect(claimer.demand()).toBeUndefined();
    expect(claimer.hint('b')).toBe(true);
    expect(claimer.demand()?.queues).toEqual(['b']);
    claimer.hintAll();
    expect(claimer.demand()?.queues.toSorted()).toEqual(['a', 'b']);
  });

  it('counts the leases of one queue together', () => {
    const claimer = claimerOf('a');
    const yields = [
      { queue: 'a', jobs: 1 },
      { queue: 'a', jobs: 2 },
    ];
    claimer.answered(claimer.demand()!, yields, claimer.mark);
    expect(claimer.demand()?.queues).toEqual(['a']);
  });

  it('asks again for a queue that somebody hinted at while the claim was under way', () => {
    const claimer = claimerOf('a', 'b');
    const demand = claimer.demand()!;
    const mark = claimer.mark;
    claimer.hint('b');
    claimer.answered(demand, [], mark);
    expect(claimer.demand()?.queues).toEqual(['b']);
  });

  it('asks for nothing where all slots are taken', () => {
    const claimer = claimerOf('a', 'b');
    claimer.pool('a')!.deliver(['1', '2', '3'].map((id) => claimedJob(id)));
    expect(claimer.running).toBe(3);
    expect(claimer.idle).toBe(false);
    expect(claimer.demand()?.queues).toEqual(['b']);
    expect(claimer.capacity()).toEqual({ queues: ['b'], limits: [3], frees: [3] });
    claimer.pool('b')!.deliver(['4', '5', '6'].map((id) => claimedJob(id)));
    expect(claimer.demand()).toBeUndefined();
    expect(claimer.capacity()).toBeUndefined();
  });

  it('knows what could be taken of queues that are dry', () => {
    const claimer = claimerOf('a', 'b');
    none(claimer);
    expect(claimer.demand()).toBeUndefined();
    expect(claimer.capacity()).toEqual({ queues: ['a', 'b'], limits: [3, 3], frees: [3, 3] });
  });

  it('knows nothing of queues of others', () => {
    const claimer = claimerOf('a');
    none(claimer);
    expect(claimer.hint('other')).toBe(false);
    expect(claimer.demand()).toBeUndefined();
    expect(claimer.pool('other')).toBeUndefined();
  });
});
