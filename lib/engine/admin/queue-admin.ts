import type { StatementPool } from '../connection/statement-pool.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { boolean, check, integer, listOf, oneOf, problemsOf, throwProblems } from '../option-checker.js';
import type { Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { MAX_DELAY_MS } from '../retry/retry-delay.js';
import {
  cancelJobs,
  countLiveJobs,
  findLiveJobs,
  type FindLiveArgs,
  removeJobs,
} from '../sql/cancel-jobs.js';
import { setMaxPending } from '../sql/max-pending.js';
import { pauseQueue, resumeQueue } from '../sql/pause-queue.js';
import { listQueues, queueSize, queueStats } from '../sql/read-queues.js';
import type { CountedState, QueueRow, QueueStatsJson } from '../sql/read-queues.js';
import { BulkChange, type BulkResult, type Finders } from './bulk-change.js';
import { matchOf } from './job-filter.js';
import { queueOf, type QueueRecord, statsOf, type QueueStats } from './queue-reader.js';

/** Which queues {@link QueueAdmin.list} tells of. */
export interface QueueFilter {
  /** Only those whose name comes after this one: the last name of the page before. */
  readonly after?: string;
  /** At most so many, 1 to 10_000. @default 1_000 */
  readonly limit?: number;
}

export interface CountOptions {
  /** Where each count stops, 1 to 1_000_000: counting more costs the database time. @default 10_000 */
  readonly countUpTo?: number;
}

export interface SizeOptions extends CountOptions {
  /** @default all in which a job has not ended: ready, running, scheduled, blocked */
  readonly state?: CountedState | readonly CountedState[];
}

/** How many jobs a queue holds. */
export interface QueueSize {
  readonly count: number;
  /** There are at least as many: counting has stopped. */
  readonly capped: boolean;
}

export interface PauseOptions {
  /** Excludes `forMs`. @default until it is resumed */
  readonly until?: Date;
  /** By the clock of the database, in milliseconds. */
  readonly forMs?: number;
  /** For people, up to 1,000 characters. */
  readonly reason?: string;
  /** Who does it, for people. @default the role of the database connection */
  readonly by?: string;
}

export interface PurgeOptions {
  /** Jobs in which states; `running` ones are cancelled. @default ready, scheduled and blocked */
  readonly states?: readonly CountedState[];
  /** Changes nothing; answers with how many jobs would go. @default false */
  readonly dryRun?: boolean;
}

/** What a purge has done, or would do. */
export interface PurgeResult extends BulkResult {
  /** How many of them run, and have been told to end; 0 in a dry run. */
  readonly aborting: number;
}

const PAGE = 1_000;
const LARGEST_PAGE = 10_000;
const COUNT_UP_TO = 10_000;
const LARGEST_COUNT = 1_000_000;
const LARGEST_LIMIT = 1_000_000_000;
const UNENDED: readonly CountedState[] = ['ready', 'running', 'scheduled', 'blocked'];
const PURGED: readonly CountedState[] = ['ready', 'scheduled', 'blocked'];

const state = oneOf(...UNENDED, 'failed');
const states = listOf(state, { min: 1 });
const text = check(
  'a text of 1 to 1000 characters',
  (value) => typeof value === 'string' && value !== '' && value.length <= 1_000 && !value.includes('\0'),
);
const date = check('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime()));

const FILTER_CHECKS = {
  after: check('a text', (value) => typeof value === 'string'),
  limit: integer(1, LARGEST_PAGE),
} satisfies Checks;
const COUNT_CHECKS = { countUpTo: integer(1, LARGEST_COUNT) } satisfies Checks;
const SIZE_CHECKS = {
  ...COUNT_CHECKS,
  state: (value, at, problems) => (Array.isArray(value) ? states : state)(value, at, problems),
} satisfies Checks;
const PAUSE_CHECKS = {
  until: date,
  forMs: integer(1, MAX_DELAY_MS),
  reason: text,
  by: text,
} satisfies Checks;
const maxPending = check(
  `an integer from 1 to ${LARGEST_LIMIT}, Infinity, or null`,
  (value) =>
    value === null ||
    value === Infinity ||
    (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= LARGEST_LIMIT),
);
const PURGE_CHECKS = { states, dryRun: boolean } satisfies Checks;

const LIVE: Finders<FindLiveArgs> = { find: findLiveJobs, count: countLiveJobs };

/** Queues: to look at, to hold up, to empty. No call counts without a bound. */
export class QueueAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /**
   * Every queue that is known of, in the order of their names: those with jobs or settings, those that were ever worked on, and those that a
   * live worker works on.
   */
  async list(filter: QueueFilter = {}): Promise<QueueRecord[]> {
    throwProblems('queues.list', problemsOf(filter, FILTER_CHECKS));
    const { after = '', limit = PAGE } = filter;
    const rows = await this.options.statements.run('queues.list', listQueues, { after, limit });
    return rows.map(queueOf);
  }

  /** What a queue holds, how long its oldest ready job has waited, and who works on it. A queue that nobody knows holds nothing. */
  async stats(queue: AnyQueue, options: CountOptions = {}): Promise<QueueStats> {
    checkQueue('queues.stats', queue, options, COUNT_CHECKS);
    const { countUpTo = COUNT_UP_TO } = options;
    const args = { queue: queueNameOf(queue), most: countUpTo };
    const [row] = await this.options.statements.run('queues.stats', queueStats, args);
    return statsOf(row as QueueRow, countUpTo);
  }

  /** How many jobs a queue holds. */
  async size(queue: AnyQueue, options: SizeOptions = {}): Promise<QueueSize> {
    checkQueue('queues.size', queue, options, SIZE_CHECKS);
    const { countUpTo = COUNT_UP_TO, state: wanted = UNENDED } = options;
    const args = { queue: queueNameOf(queue), most: countUpTo };
    const [row] = await this.options.statements.run('queues.size', queueSize, args);
    const counts = JSON.parse(row?.counts ?? '{}') as QueueStatsJson['counts'];
    const count = [...new Set([wanted].flat())].reduce((sum, each) => sum + counts[each], 0);
    return { count: Math.min(count, countUpTo), capped: count >= countUpTo };
  }

  /**
   * Nothing of the queue starts in any process, until then or until it is resumed; what runs goes on, and jobs can be enqueued. Of a queue that is
   * paused already the end, the reason and who did it change; since when does not.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async pause(queue: AnyQueue, options: PauseOptions = {}): Promise<void> {
    checkQueue('queues.pause', queue, options, PAUSE_CHECKS);
    const { until, forMs, reason, by } = options;
    if (until !== undefined && forMs !== undefined)
      throwProblems('queues.pause', ['until: excludes forMs, and both were given']);
    await this.options.statements.run('queues.pause', pauseQueue, {
      queue: queueNameOf(queue),
      until: until ?? null,
      forMs: forMs ?? null,
      reason: reason ?? null,
      by: by ?? null,
    });
  }

  /** It goes on, in every process at once. False: it was not paused. */
  async resume(queue: AnyQueue): Promise<boolean> {
    checkQueue('queues.resume', queue, {}, {});
    const args = { queue: queueNameOf(queue) };
    const [row] = await this.options.statements.run('queues.resume', resumeQueue, args);
    return row?.resumed === true;
  }

  /**
   * Sets how many jobs of the queue may be there that have not ended; enqueues that would make them more are refused. It counts for every process at
   * once, and until it is set again, whatever the code says. What is there already stays.
   *
   * @param most `Infinity`: any number; `null`: what the code says, the option `maxPending`
   * @throws InvalidOptionsError
   */
  async setMaxPending(queue: AnyQueue, most: number | null): Promise<void> {
    const problems: string[] = [];
    queueReference(queue, 'queue', problems);
    maxPending(most, 'maxPending', problems);
    throwProblems('queues.setMaxPending', problems);
    const args = { queue: queueNameOf(queue), most: most === Infinity ? 0 : most };
    await this.options.statements.run('queues.setMaxPending', setMaxPending, args);
  }

  /**
   * Deletes the jobs of a queue that wait, part by part: when it is stopped half-way, what is gone is gone. Jobs that depend on them go as they were
   * told to. Failed ones are deleted, and running ones cancelled, only where `states` names them.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async purge(queue: AnyQueue, options: PurgeOptions = {}): Promise<PurgeResult> {
    checkQueue('queues.purge', queue, options, PURGE_CHECKS);
    const { states: purged = PURGED, dryRun = false } = options;
    const match = { ...matchOf({ queue }), states: purged };
    let aborting = 0;
    const bulk = new BulkChange('queues.purge', this.options.statements, LIVE, match);
    const result = await bulk.run({ dryRun }, async (found) => {
      const ids = found.map((job) => job.id);
      const removed = await this.#remove(ids);
      const told = purged.includes('running') ? await this.#abort(ids, removed) : [];
      aborting += told.length;
      return [...removed, ...told];
    });
    return { ...result, aborting };
  }

  async #remove(ids: readonly string[]): Promise<string[]> {
    const rows = await this.options.statements.run('queues.purge', removeJobs, { ids });
    return rows.map((row) => row.id);
  }

  /** Those that are left run. */
  async #abort(ids: readonly string[], removed: readonly string[]): Promise<string[]> {
    const gone = new Set(removed);
    const left = ids.filter((id) => !gone.has(id));
    const rows = await this.options.statements.run('queues.purge', cancelJobs, { ids: left });
    return rows.filter((row) => row.outcome !== 'none').map((row) => row.id);
  }
}

function checkQueue(subject: string, queue: unknown, options: object, checks: Checks): void {
  const problems: string[] = [];
  queueReference(queue, 'queue', problems);
  throwProblems(subject, [...problems, ...problemsOf(options, checks)]);
}
