import type { Handler } from '../job/handler.js';
import type { ClaimedJob } from '../job/job.js';

/** The slots of one queue in this process, as the parts around them see them: they count jobs, whatever a slot holds. */
export interface JobPool {
  readonly handler: Handler;
  readonly queue: string;
  /** How many jobs may run at once. */
  readonly slots: number;
  /** Jobs that run. */
  readonly running: number;
  /** Jobs that were claimed and have not started. */
  readonly buffered: number;
  /** Nothing runs, and nothing that was claimed waits. */
  readonly idle: boolean;
  /** How many more jobs could start at once. */
  readonly free: number;
  /** How many jobs to claim now. */
  readonly wanted: number;
  /** Runs these jobs, as soon as it can. */
  deliver(jobs: readonly ClaimedJob[]): void;
  /** Takes back what has not started: all of it, or when it has waited for a slot for longer than `olderThanMs`. */
  takeBuffered(olderThanMs?: number): ClaimedJob[];
  /** Tells everything that runs to end. */
  abortAll(reasonOf: (claimed: ClaimedJob) => Error): void;
  /** Tells a job to end. What has not started is answered: it is the caller's. */
  cancel(jobId: string, reasonOf: (claimed: ClaimedJob) => Error): ClaimedJob | undefined;
  /** These leases were taken away: what has not started is forgotten, what runs is told. */
  loseLeases(lost: ReadonlySet<string>, reasonOf: (claimed: ClaimedJob) => Error): void;
  /** Hands back everything that runs, unfinished. */
  releaseAll(): void;
}
