import type { JobError } from '../../events.js';
import type { JobState } from '../../job/job-state.js';
import type { JobFacts } from '../../sql/explain-job.js';

/** What a reason is about, by its code. Times are Dates; ids of jobs are strings. */
export interface ReasonFacts {
  /** It has ended. */
  readonly completed: EndedFacts;
  readonly failed: EndedFacts;
  readonly cancelled: EndedFacts;
  /** It runs. */
  readonly running: {
    readonly workerId: number;
    readonly worker: string | undefined;
    readonly host: string | undefined;
    readonly pid: number | undefined;
    readonly since: Date;
    /** False: the worker has died, and another one gives the job back when it finds that out. */
    readonly alive: boolean;
    /** Somebody has cancelled it, and its handler has not ended yet. */
    readonly cancelling: boolean;
  };
  /** Its `expiresAt` is over: it fails within moments, without having run. */
  readonly expired: { readonly expiresAt: Date };
  /** Its time has not come. */
  readonly scheduled: { readonly until: Date };
  /** Its last attempt has failed, and the next is not due. */
  readonly retry: {
    readonly until: Date;
    /** Number of the attempt that comes. */
    readonly attempt: number;
    readonly error: JobError | undefined;
  };
  /** Its handler sleeps, and holds no slot. */
  readonly sleeping: { readonly name: string | undefined; readonly until: Date };
  /** Its handler waits for an event, and holds no slot. */
  readonly waitingForEvent: {
    readonly event: string;
    /** When it goes on without; `undefined`: never. */
    readonly until: Date | undefined;
  };
  /** Jobs it depends on have not ended. */
  readonly dependency: {
    readonly left: number;
    /** The first ten. `ended` and `failed` ones are about to be told. */
    readonly parents: readonly { readonly id: string; readonly state: 'pending' | 'failed' | 'ended' }[];
  };
  /** An earlier job of its schedule is alive, and the schedule has `overlap: 'queue'`. */
  readonly scheduleOverlap: { readonly schedule: string; readonly after: string | undefined };
  /** Its payload is of a version that no worker knew which has met it. */
  readonly newerVersion: { readonly version: number };
  /** `run_at` is infinity, and nothing that is known will change that. */
  readonly parked: Readonly<Record<string, never>>;
  readonly paused: {
    readonly by: string | undefined;
    readonly since: Date;
    readonly until: Date | undefined;
    readonly reason: string | undefined;
  };
  /** A handler has thrown `rateLimited()`. */
  readonly held: { readonly until: Date };
  /** No live worker works on its queue. */
  readonly noWorker: Readonly<Record<string, never>>;
  /** Those that do take nothing new. */
  readonly quietWorkers: { readonly quiet: number; readonly draining: number };
  readonly globalConcurrency: {
    readonly limit: number;
    /** The first ten that run. */
    readonly holders: readonly string[];
  };
  readonly rateLimit: {
    readonly limit: number;
    readonly periodMs: number;
    /** When the next one may start. */
    readonly until: Date;
    /** `undefined`: the limit is one of the queue. */
    readonly key: string | undefined;
  };
  /** Others of its group come first. */
  readonly groupOrder: {
    readonly group: string;
    readonly limit: number;
    readonly ahead: readonly {
      readonly id: string;
      readonly state: 'running' | 'ready' | 'scheduled' | 'blocked' | 'failed';
      readonly until: Date | undefined;
    }[];
  };
  /** As many of its group, or of its key, run as may. */
  readonly groupLimit: {
    readonly group: string;
    readonly limit: number;
    readonly holders: readonly string[];
  };
  /** After crashes it runs only where nothing else does: a worker has to become empty first. */
  readonly runAlone: { readonly crashes: number };
  /** Another job has to run alone first, on a worker of its queue. */
  readonly aloneFirst: { readonly jobId: string };
  /** All slots are taken. */
  readonly slot: {
    readonly slots: number;
    /** 1 is the next; `undefined` for members of groups, which take turns. */
    readonly position: number | undefined;
    /** It is further behind than `position`: counting has stopped. */
    readonly capped: boolean;
  };
  /** Nothing holds it: it starts within moments. */
  readonly starting: Readonly<Record<string, never>>;
}

export interface EndedFacts {
  readonly at: Date;
  readonly attempts: number;
  readonly error: JobError | undefined;
}

export type ReasonCode = keyof ReasonFacts;

/** One reason why a job does not run: a code, its facts, and both in words. */
export type Reason = {
  readonly [Code in ReasonCode]: {
    readonly code: Code;
    readonly text: string;
    readonly facts: ReasonFacts[Code];
  };
}[ReasonCode];

/** Why a job does not run, or what has become of it. */
export interface Explanation {
  readonly id: string;
  readonly queue: string;
  readonly state: JobState;
  /** Code of the first reason. */
  readonly reason: ReasonCode;
  /** All reasons in words. */
  readonly text: string;
  /** Those of the first reason. */
  readonly facts: Reason['facts'];
  /** All that hold it back now, in the order in which they matter; at least one. */
  readonly reasons: readonly Reason[];
}

/** Looks for one kind of reason. What it is given is a snapshot; `undefined`: this does not hold the job back. */
export type ReasonFinder = (job: JobFacts) => Reason | undefined;
