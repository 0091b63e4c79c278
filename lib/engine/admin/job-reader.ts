import { mayPollute, safePayload } from '../codec/json-codec.js';
import { deadLetterOf } from '../job/dead-letter.js';
import type { AttemptError, JobRecord } from '../job/job-record.js';
import { reprocessedOf } from '../job/reprocessed.js';
import type { JobJson, JobRow } from '../sql/read-jobs.js';

/** A job that was read, with the token under which it may be changed. */
export interface ReadJob {
  readonly record: JobRecord;
  /** `undefined` for one that has ended and is kept: it cannot be changed. */
  readonly seq: string | undefined;
}

/** A row as people and tools see the job. Plain SQL may have stored anything where the library stores objects. */
export function readJobOf({ job: text }: JobRow): ReadJob {
  const job = JSON.parse(text) as JobJson;
  const { tags, headers, deadLetter, reprocessed } = job.meta ?? {};
  return {
    seq: job.seq ?? undefined,
    record: {
      id: job.id,
      queue: job.queue,
      state: job.state,
      payload: mayPollute(text) ? safePayload(job.payload) : job.payload,
      runCount: job.runCount,
      crashCount: job.crashCount,
      maxAttempts: job.maxAttempts ?? undefined,
      priority: job.priority,
      createdAt: new Date(job.createdAt),
      runAt: job.runAt === 'infinity' ? undefined : dateOf(job.runAt),
      failedAt: dateOf(job.failedAt),
      finishedAt: dateOf(job.finishedAt),
      expiresAt: dateOf(job.expiresAt),
      lastError: job.lastError ?? undefined,
      errors: Array.isArray(job.errors) ? job.errors.map(attemptErrorOf) : [],
      result: job.result ?? undefined,
      progress: job.progress ?? undefined,
      log: Array.isArray(job.logs) ? job.logs : [],
      lockedAt: dateOf(job.lockedAt),
      lockedBy: job.lockedBy ?? undefined,
      group: job.group ?? undefined,
      uniqueKey: job.uniqueKey ?? undefined,
      tags: Array.isArray(tags) ? tags : [],
      headers: headers ?? {},
      deadLetter: deadLetterOf(deadLetter),
      reprocessed: reprocessedOf(reprocessed),
    },
  };
}

function attemptErrorOf(stored: AttemptError & { readonly at: unknown }): AttemptError {
  return { ...stored, at: new Date(stored.at), worker: stored.worker };
}

function dateOf(iso: string | null): Date | undefined {
  return iso === null ? undefined : new Date(iso);
}
