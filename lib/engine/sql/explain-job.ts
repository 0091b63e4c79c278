import type { JobError } from '../events.js';
import type { JobState } from '../job/job-state.js';
import { statement } from './statement.js';

/** What is known of a job and of all that may hold it back; times in ISO 8601. What does not hold it back is absent. */
export interface JobFacts {
  readonly id: string;
  readonly queue: string;
  readonly state: JobState;
  /** Attempts that have ended. */
  readonly attempts: number;
  /** Attempts that ended with their worker. */
  readonly crashes?: number;
  /** When it failed, or has ended. */
  readonly at: string | null;
  readonly error: JobError | null;
  readonly running?: {
    readonly workerId: number;
    readonly worker: string | null;
    readonly host: string | null;
    readonly pid: number | null;
    readonly since: string;
    readonly alive: boolean;
  } | null;
  readonly cancelling?: boolean;
  /** It waits for no time and for no other job. */
  readonly isReady?: boolean;
  readonly runAt?: string | null;
  readonly expiredAt?: string | null;
  /** Its last chance after crashes: it runs alone in its process. */
  readonly alone?: boolean;
  /** Another job that is to run alone first, on a worker of this queue. */
  readonly aloneFirst?: string;
  /** What its handler waits for. */
  readonly waits?: readonly {
    readonly name?: string;
    readonly event?: string;
    readonly until?: string;
  }[];
  /** How many jobs it still waits for, and the first ten. */
  readonly parentsLeft?: number;
  readonly parents?: readonly { readonly id: string; readonly state: 'pending' | 'failed' | 'ended' }[];
  /** Parked until an earlier job of its schedule has ended. */
  readonly schedule?: { readonly name: string; readonly after?: string };
  /** The version of its payload, which no worker knew that has met it. */
  readonly leftVersion?: number;
  readonly paused?: {
    readonly by: string | null;
    readonly since: string;
    readonly until: string | null;
    readonly reason: string | null;
  };
  readonly heldUntil?: string;
  readonly workers?: {
    readonly running: number;
    readonly quiet: number;
    readonly draining: number;
    /** Of those that run. */
    readonly slots: number;
    readonly free: number;
  };
  readonly global?: { readonly limit: number; readonly running: number; readonly holders: readonly string[] };
  readonly rate?: {
    readonly limit: number;
    readonly periodMs: number;
    readonly started: number;
    /** `null`: the limit is one of the queue. */
    readonly key: string | null;
    readonly until: string;
  };
  readonly group?: {
    readonly key: string;
    readonly limit: number;
    readonly ordered: boolean;
    /** Members that run. */
    readonly holders: readonly string[];
    /** The first members before this one, as many as may run at once; `null`: order does not matter. */
    readonly ahead:
      | readonly {
          readonly id: string;
          readonly state: 'running' | 'ready' | 'scheduled' | 'blocked' | 'failed';
          readonly runAt: string | null;
        }[]
      | null;
  };
  /** How many jobs of its queue are before it, up to 1,000; not for members of groups, which take turns. */
  readonly ahead?: number;
}

/** One row; `null` in it when there is no such job. */
export interface ExplainRow {
  /** JSON text of {@link JobFacts}. */
  readonly facts: string | null;
}

export const explainJob = statement<{ readonly id: string }, ExplainRow>({
  name: 'explain_job',
  text: ({ schema }) => `select ${schema}.job_facts($1::bigint)::text as facts`,
  values: ({ id }) => [id],
});
