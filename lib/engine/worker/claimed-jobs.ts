import { mayPollute } from '../codec/json-codec.js';
import type { ClaimedJob, JobMeta } from '../job/job.js';
import type { ClaimTuple } from '../sql/claim-jobs.js';

/** The row of a lease, from a claim or a sweep. */
export interface LeaseRow {
  readonly lease_id: string | null;
  readonly queue_name: string | null;
  readonly priority: number | null;
  readonly jobs: string | null;
}

const NO_META: JobMeta = Object.freeze({});

/** The jobs a lease took, in ready order; none for a row that says that nothing was taken. */
export function claimedJobsOf(row: LeaseRow, alone = false): ClaimedJob[] {
  const { lease_id: leaseId, queue_name: queue, jobs } = row;
  if (leaseId === null || queue === null || jobs === null) return [];
  const suspect = mayPollute(jobs);
  const priority = row.priority ?? 0;
  return (JSON.parse(jobs) as ClaimTuple[]).map((tuple) =>
    claimedJobOf(tuple, { leaseId, queue, priority, suspect, alone }),
  );
}

function claimedJobOf(
  [
    id,
    seq,
    createdAt,
    payload,
    runCount = 0,
    crashCount = 0,
    maxAttempts,
    readyAt,
    group,
    flags = 0,
    meta,
  ]: ClaimTuple,
  lease: Pick<ClaimedJob, 'leaseId' | 'queue' | 'priority' | 'suspect' | 'alone'>,
): ClaimedJob {
  return {
    id,
    seq,
    queue: lease.queue,
    priority: lease.priority,
    runCount,
    crashCount,
    maxAttempts: maxAttempts ?? undefined,
    createdAt,
    readyAt: readyAt ?? createdAt,
    group: group ?? undefined,
    flags,
    meta: meta ?? NO_META,
    payload,
    leaseId: lease.leaseId,
    suspect: lease.suspect,
    alone: lease.alone,
    expiresAt: meta ? expiryIn(meta) : undefined,
  };
}

/** By the clock of this process, so that it need not agree with the database's. */
function expiryIn({ expiresInMs }: JobMeta): number | undefined {
  return typeof expiresInMs === 'number' ? performance.now() + expiresInMs : undefined;
}
