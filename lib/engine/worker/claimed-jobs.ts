import { mayPollute } from '../codec/json-codec.js';
import type { ClaimedJob, JobMeta } from '../job/job.js';
import type { ClaimedJobRow, ClaimedRow } from '../sql/claimed-row.js';

/** The jobs of one lease, in ready order. */
export interface Lease {
  readonly id: string;
  readonly queue: string;
  readonly jobs: readonly ClaimedJob[];
}

const NO_META: JobMeta = Object.freeze({});

/** The leases that a claim or a sweep took. */
export function leasesOf(rows: readonly ClaimedRow[], alone = false): Lease[] {
  const leases = new Map<string, Lease & { readonly jobs: ClaimedJob[] }>();
  for (const row of rows) {
    if (row[0] === null) continue; // the summary
    const job = claimedJobOf(row, alone);
    const lease = leases.get(job.leaseId);
    if (lease === undefined) leases.set(job.leaseId, { id: job.leaseId, queue: job.queue, jobs: [job] });
    else lease.jobs.push(job);
  }
  return [...leases.values()];
}

function claimedJobOf(
  [
    leaseId,
    queue,
    priority,
    id,
    seq,
    runCount,
    crashCount,
    maxAttempts,
    createdMs,
    readyMs,
    group,
    meta,
    payload,
  ]: ClaimedJobRow,
  alone: boolean,
): ClaimedJob {
  return {
    id,
    seq,
    queue,
    priority: Number(priority),
    runCount: Number(runCount),
    crashCount: Number(crashCount),
    maxAttempts: maxAttempts === null ? undefined : Number(maxAttempts),
    createdAt: Number(createdMs),
    readyAt: Number(readyMs ?? createdMs),
    group: group ?? undefined,
    meta: meta === null ? NO_META : (JSON.parse(meta) as JobMeta),
    payload: JSON.parse(payload),
    leaseId,
    suspect: mayPollute(payload),
    alone,
  };
}
