import type { ClaimedJob } from '../../../../lib/engine/job/job.js';

/** A job as a claim brings it. */
export function claimedJob(id: string, overrides: Partial<ClaimedJob> = {}): ClaimedJob {
  return {
    id,
    seq: id,
    queue: 'mail',
    priority: 0,
    runCount: 0,
    crashCount: 0,
    maxAttempts: undefined,
    createdAt: '2026-01-01T00:00:00Z',
    readyAt: '2026-01-01T00:00:00Z',
    group: undefined,
    flags: 0,
    meta: {},
    payload: {},
    leaseId: '1',
    suspect: false,
    alone: false,
    expiresAt: undefined,
    ...overrides,
  };
}
