import type { JobFacts } from '../../sql/explain-job.js';
import type { Reason } from './reason.js';

/** It has ended, or has failed. */
export function ended({ state, at, attempts, error }: JobFacts): Reason | undefined {
  if (state !== 'completed' && state !== 'failed' && state !== 'cancelled') return undefined;
  const facts = { at: new Date(at ?? 0), attempts, error: error ?? undefined };
  const why = error === null ? '' : `: ${error.message}`;
  const text = `It ${VERBS[state]} at ${facts.at.toISOString()}, after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}${why}.`;
  return { code: state, text, facts };
}

const VERBS = { completed: 'completed', failed: 'failed', cancelled: 'was cancelled' } as const;

/** Somebody has it. */
export function running({ state, running: lease, cancelling = false }: JobFacts): Reason | undefined {
  if (state !== 'running' || lease === undefined || lease === null) return undefined;
  const facts = {
    workerId: lease.workerId,
    worker: lease.worker ?? undefined,
    host: lease.host ?? undefined,
    pid: lease.pid ?? undefined,
    since: new Date(lease.since),
    alive: lease.alive,
    cancelling,
  };
  if (!lease.alive) {
    const text = `Worker ${lease.workerId} has died with it; a live worker gives it back to its queue within moments.`;
    return { code: 'running', text, facts };
  }
  const where = lease.host === null ? '' : ` (${lease.host}, process ${lease.pid})`;
  const told = cancelling ? ', has been cancelled, and its handler has not ended yet' : '';
  const text = `It runs on worker ${lease.workerId}${where} since ${facts.since.toISOString()}${told}.`;
  return { code: 'running', text, facts };
}

/** Whoever looks next fails it. */
export function expired({ expiredAt }: JobFacts): Reason | undefined {
  const expiresAt = expiredAt === undefined || expiredAt === null ? undefined : new Date(expiredAt);
  if (expiresAt === undefined) return undefined;
  const text = `It expired at ${expiresAt.toISOString()}, and fails within moments.`;
  return { code: 'expired', text, facts: { expiresAt } };
}
