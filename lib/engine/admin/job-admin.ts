import { sealedQueueOf, sealText, unseal } from '../codec/sealed.js';
import type { EncryptionOf } from '../job/encryption.js';
import { encodeJson } from '../codec/json-codec.js';
import type { StatementPool } from '../connection/statement-pool.js';
import { InvalidPayloadError } from '../errors.js';
import type { JobRecord } from '../job/job-record.js';
import type { JobState } from '../job/job-state.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { boolean, callable, check, integer, problemsOf, throwProblems } from '../option-checker.js';
import type { Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { MAX_DELAY_MS } from '../retry/retry-delay.js';
import {
  countDeadLetters,
  countFailedJobs,
  countScheduledJobs,
  countWaitingJobs,
  findDeadLetters,
  findFailedJobs,
  findScheduledJobs,
  findWaitingJobs,
} from '../sql/find-jobs.js';
import {
  cancelJobs,
  countLiveJobs,
  findLiveJobs,
  type FindLiveArgs,
  removeJobs,
} from '../sql/cancel-jobs.js';
import { explainJob } from '../sql/explain-job.js';
import { type JobRow, listJobs, readJobs } from '../sql/read-jobs.js';
import type { CountedState } from '../sql/read-queues.js';
import { redriveJobs, removeJob } from '../sql/redrive-jobs.js';
import {
  countKeptJobs,
  findKeptJobs,
  type FindKeptArgs,
  newestKeptJob,
  reprocessJobs,
} from '../sql/reprocess-jobs.js';
import { requeueJobs, retryJobs } from '../sql/retry-jobs.js';
import {
  BulkChange,
  type BulkControl,
  type BulkResult,
  type Finders,
  type FoundJob,
  TOLD_IDS,
} from './bulk-change.js';
import { decryptedJob } from './decrypted-job.js';
import { explanationOf } from './explain/explanation.js';
import type { Explanation } from './explain/reason.js';
import {
  type CancelFilter,
  checkCancelFilter,
  checkListFilter,
  checkRedriveFilter,
  checkReprocessFilter,
  checkRetryFilter,
  jobId,
  type ListFilter,
  LIVE_STATES,
  matchOf,
  type RedriveFilter,
  type ReprocessFilter,
  type RetryFilter,
} from './job-filter.js';
import { readJobOf } from './job-reader.js';

/** Options of a {@link JobAdmin}. */
export interface JobAdminOptions {
  readonly statements: StatementPool;
  /** The largest payload that an edit may make, in bytes. */
  readonly maxPayloadBytes: number;
  /** How this process reads and writes the payloads of a queue that are encrypted. */
  readonly encryptionOf: EncryptionOf;
  /** Jobs of this queue are ready, or will be in so many milliseconds. */
  readonly onCommitted: (queue: string, delayMs: number | undefined) => void;
}

/** Options of everything that changes many jobs. */
export interface BulkOptions extends BulkControl {
  /** Changes nothing; answers with how many jobs match, and the first of them. @default false */
  readonly dryRun?: boolean;
  /** At most so many jobs. @default all of them */
  readonly limit?: number;
}

/** Makes another payload of a job's. What it returns is stored; it must not be `undefined`. */
export type PayloadEdit = (payload: never, job: JobRecord) => unknown;

export interface RequeueOptions extends BulkOptions {
  /** Another payload; for one job, by its id. */
  readonly payload?: unknown;
  /** Makes the other payloads; excludes `payload`. */
  readonly edit?: PayloadEdit;
  /** Not before so many milliseconds from now. @default 0 */
  readonly delayMs?: number;
  /** Another queue. @default their own */
  readonly queue?: AnyQueue;
}

export interface RedriveOptions extends BulkOptions {
  readonly edit?: PayloadEdit;
}

export interface ReprocessOptions extends BulkOptions {
  readonly edit?: PayloadEdit;
  /** Also those that have been enqueued again already, and those that `reprocess` has enqueued. @default false */
  readonly again?: boolean;
}

/** What a `cancel` has done, or would do. */
export interface CancelResult extends BulkResult {
  /** How many of them run, and have been told to end; 0 in a dry run. */
  readonly aborting: number;
}

/** What a `reprocess` has done, or would do. `count` and `ids` are of the kept jobs. */
export interface ReprocessResult extends BulkResult {
  /** The first 100 ids of the new jobs, in the order of `ids`. */
  readonly newIds: readonly string[];
}

/** A page of jobs. */
export interface JobPage {
  readonly jobs: readonly JobRecord[];
  /** For the next page; `undefined` on the last. */
  readonly cursor: string | undefined;
}

/** How jobs are read whose queue is encrypted. */
export interface ReadOptions {
  /**
   * In clear, where this process can decrypt it: payload, result, last error, progress and log. What it cannot is told as it is stored. For people who
   * may see that. @default false
   */
  readonly decrypt?: boolean;
}

export interface PageOptions extends ReadOptions {
  /** Of the page before. */
  readonly cursor?: string;
  /** At most so many jobs, up to 1,000. @default 100 */
  readonly limit?: number;
  /** Looks among so many of the newest ids only: what cannot use an index is bounded so. @default all */
  readonly window?: number;
}

/** How many jobs match. */
export interface JobCount {
  readonly count: number;
  /** There are at least as many: counting has stopped. */
  readonly capped: boolean;
}

const PAGE = 100;
const LARGEST_PAGE = 1_000;

const BULK_CHECKS = {
  dryRun: boolean,
  limit: integer(1, Number.MAX_SAFE_INTEGER),
  onPart: callable,
  signal: check('an AbortSignal', (value) => value instanceof AbortSignal),
} satisfies Checks;
const REQUEUE_CHECKS = {
  ...BULK_CHECKS,
  payload: () => {},
  edit: callable,
  delayMs: integer(0, MAX_DELAY_MS),
  queue: queueReference,
} satisfies Checks;
const REDRIVE_CHECKS = { ...BULK_CHECKS, edit: callable } satisfies Checks;
const REPROCESS_CHECKS = { ...REDRIVE_CHECKS, again: boolean } satisfies Checks;
const READ_CHECKS = { decrypt: boolean } satisfies Checks;
const PAGE_CHECKS = {
  ...READ_CHECKS,
  cursor: jobId,
  limit: integer(1, LARGEST_PAGE),
  window: integer(1, Number.MAX_SAFE_INTEGER),
} satisfies Checks;

const COUNT_UP_TO = 10_000;
const COUNT_CHECKS = { countUpTo: integer(1, 1_000_000) } satisfies Checks;
const REMOVABLE: readonly CountedState[] = ['ready', 'scheduled', 'blocked', 'failed'];
const NONE: BulkResult = Object.freeze({ count: 0, ids: [], more: false });
const NOTHING = () => Promise.resolve([]);

/** Of jobs that are kept: nothing happens to them. */
const NO_TOKEN = '0';

const FAILED: Finders = { find: findFailedJobs, count: countFailedJobs };
const SCHEDULED: Finders = { find: findScheduledJobs, count: countScheduledJobs };
const WAITING: Finders = { find: findWaitingJobs, count: countWaitingJobs };
const LIVE: Finders<FindLiveArgs> = { find: findLiveJobs, count: countLiveJobs };
const KEPT: Finders<FindKeptArgs> = { find: findKeptJobs, count: countKeptJobs, newest: newestKeptJob };
const DEAD_LETTERS: Finders = { find: findDeadLetters, count: countDeadLetters };

/**
 * Jobs: to look at, to run again, to move back from a dead-letter queue, to cancel, to delete. Only `cancel` touches jobs that run.
 *
 * What changes many does it in parts, each in a transaction of its own: when it is stopped half-way, what was done is done, and another
 * call goes on. A job is changed only if nothing has happened to it since it was found, so nothing happens twice, however many do the same.
 */
export class JobAdmin {
  constructor(private readonly options: JobAdminOptions) {}

  /** `undefined` when there is no such job, such as one that was acked and is not kept. */
  async get(id: string, options: ReadOptions = {}): Promise<JobRecord | undefined> {
    checkId('jobs.get', id);
    throwProblems('jobs.get', problemsOf(options, READ_CHECKS));
    const [row] = await this.options.statements.run('jobs.get', readJobs, { ids: [id] });
    return row === undefined ? undefined : this.#read(row, options);
  }

  /** Newest first, a page at a time. */
  async list(filter: ListFilter = {}, page: PageOptions = {}): Promise<JobPage> {
    checkListFilter('jobs.list', filter);
    throwProblems('jobs.list', problemsOf(page, PAGE_CHECKS));
    const { cursor, limit = PAGE, window } = page;
    const { state, ...rest } = filter;
    const rows = await this.options.statements.run('jobs.list', listJobs, {
      ...matchOf(rest),
      states: state === undefined ? null : [state].flat(),
      before: cursor ?? null,
      limit,
      window: window === undefined ? null : String(window),
    });
    const jobs = await Promise.all(rows.map((row) => this.#read(row, page)));
    return { jobs, cursor: jobs.length < limit ? undefined : jobs.at(-1)?.id };
  }

  /**
   * Lets failed jobs run again now, with the attempts that are left, or one more where none is. Scheduled jobs, those that wait for a
   * retry among them, run now instead of at their time. `runCount` and the history stay.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async retry(target: string | RetryFilter, options: BulkOptions = {}): Promise<BulkResult> {
    checkRetryFilter('jobs.retry', target);
    throwProblems('jobs.retry', problemsOf(options, BULK_CHECKS));
    const { statements, onCommitted } = this.options;
    return this.#change('jobs.retry', target, options, async (found) => {
      const rows = await statements.run('jobs.retry', retryJobs, tokensOf(found));
      for (const queue of new Set(rows.map((row) => row.queue_name))) onCommitted(queue, undefined);
      return rows.map((row) => row.id);
    });
  }

  /**
   * Lets failed and scheduled jobs begin anew, as `update jobs set run_count = 0` does for failed ones: with all their attempts, at once or
   * after `delayMs`, with another payload or in another queue if so wanted. The history of errors stays.
   *
   * @throws InvalidOptionsError listing every problem; InvalidPayloadError, PayloadTooLargeError for what an edit has made
   */
  async requeue(target: string | RetryFilter, options: RequeueOptions = {}): Promise<BulkResult> {
    checkRetryFilter('jobs.requeue', target);
    throwProblems('jobs.requeue', requeueProblems(target, options));
    const { statements, onCommitted } = this.options;
    const { delayMs = 0, queue } = options;
    return this.#change('jobs.requeue', target, options, async (found) => {
      const edited = await this.#edited('jobs.requeue', found, editOf(options));
      const rows = await statements.run('jobs.requeue', requeueJobs, {
        ...tokensOf(edited),
        payloads: edited.map((job) => job.payload),
        delayMs,
        queue: queue === undefined ? null : queueNameOf(queue),
      });
      for (const name of new Set(rows.map((row) => row.queue_name)))
        onCommitted(name, delayMs === 0 ? undefined : delayMs);
      return rows.map((row) => row.id);
    });
  }

  /**
   * Moves dead letters back to the queues they come from, as new jobs with the options of the old ones; each becomes one job, whoever else
   * does the same. The failed jobs they are copies of stay where they are. `count` and `ids` are of the dead letters.
   *
   * @throws InvalidOptionsError listing every problem; InvalidPayloadError, PayloadTooLargeError for what an edit has made
   */
  async redrive(target: string | RedriveFilter, options: RedriveOptions = {}): Promise<BulkResult> {
    checkRedriveFilter('jobs.redrive', target);
    throwProblems('jobs.redrive', problemsOf(options, REDRIVE_CHECKS));
    const { statements, onCommitted } = this.options;
    const bulk = new BulkChange('jobs.redrive', statements, DEAD_LETTERS, matchOf(filterOf(target)));
    return bulk.run(options, async (found) => {
      const edited = await this.#edited('jobs.redrive', found, options.edit);
      const rows = await statements.run('jobs.redrive', redriveJobs, {
        ids: edited.map((job) => job.id),
        payloads: edited.map((job) => job.payload),
      });
      for (const queue of new Set(rows.map((row) => row.queue_name))) onCommitted(queue, undefined);
      return rows.map((row) => row.id);
    });
  }

  /**
   * Cancels jobs, whoever has them: those that wait are gone at once, those that run are told to by their signal, wherever they run, and end
   * `cancelled` when their handlers do. Jobs that have failed stay failed.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async cancel(target: string | CancelFilter, options: BulkOptions = {}): Promise<CancelResult> {
    checkCancelFilter('jobs.cancel', target);
    throwProblems('jobs.cancel', problemsOf(options, BULK_CHECKS));
    const { statements } = this.options;
    const { state, ...filter } = filterOf<CancelFilter>(target);
    const match = { ...matchOf(filter), states: state === undefined ? LIVE_STATES : [state].flat() };
    let aborting = 0;
    const result = await new BulkChange('jobs.cancel', statements, LIVE, match).run(
      options,
      async (found) => {
        const rows = await statements.run('jobs.cancel', cancelJobs, { ids: found.map((job) => job.id) });
        aborting += rows.filter((row) => row.outcome === 'aborting').length;
        return rows.filter((row) => row.outcome !== 'none').map((row) => row.id);
      },
    );
    return { ...result, aborting };
  }

  /**
   * Enqueues jobs that have ended and are kept by the retention of their queue once more, as new jobs; each once, whoever else does the same,
   * and not what was enqueued so itself, unless `again`. What is kept stays, and the new job says where it comes from: {@link JobRecord.reprocessed}. Queue, group, priority, tags,
   * headers, `timeoutMs` and `backoff` are those of the old job; its unique key, dependencies, batch, `maxAttempts` and `expiresAt` are not kept.
   *
   * @throws InvalidOptionsError listing every problem; InvalidPayloadError, PayloadTooLargeError for what an edit has made
   */
  async reprocess(
    target: string | ReprocessFilter,
    options: ReprocessOptions = {},
  ): Promise<ReprocessResult> {
    checkReprocessFilter('jobs.reprocess', target);
    throwProblems('jobs.reprocess', problemsOf(options, REPROCESS_CHECKS));
    const { statements, onCommitted } = this.options;
    const { edit, again = false } = options;
    const newIds: string[] = [];
    const bulk = new BulkChange('jobs.reprocess', statements, KEPT, { ...keptMatchOf(target), again });
    const result = await bulk.run(options, async (found) => {
      const edited = await this.#edited('jobs.reprocess', found, edit);
      const rows = await statements.run('jobs.reprocess', reprocessJobs, {
        ids: edited.map((job) => job.id),
        payloads: edited.map((job) => job.payload),
        again,
      });
      for (const queue of new Set(rows.map((row) => row.queue_name))) onCommitted(queue, undefined);
      newIds.push(...rows.slice(0, TOLD_IDS - newIds.length).map((row) => row.new_id));
      return rows.map((row) => row.id);
    });
    return { ...result, newIds };
  }

  /** Why the job does not run, or what has become of it. `undefined` when there is no such job, such as one that was acked and is not kept. */
  async explain(id: string): Promise<Explanation | undefined> {
    checkId('jobs.explain', id);
    const [row] = await this.options.statements.run('jobs.explain', explainJob, { id });
    return explanationOf(row);
  }

  /**
   * How many jobs match, as far as `countUpTo`, those that are kept included.
   *
   * @param countUpTo 1 to 1,000,000
   */
  async count(
    filter: ListFilter = {},
    { countUpTo = COUNT_UP_TO }: { countUpTo?: number } = {},
  ): Promise<JobCount> {
    checkListFilter('jobs.count', filter);
    throwProblems('jobs.count', problemsOf({ countUpTo }, COUNT_CHECKS));
    const { state, ...rest } = filter;
    const states = state === undefined ? null : [state].flat();
    const options = { dryRun: true, limit: countUpTo };
    const live = states?.filter(isCounted) ?? [...LIVE_STATES, 'failed' as const];
    const { statements } = this.options;
    const bulk = new BulkChange('jobs.count', statements, LIVE, { ...matchOf(rest), states: live });
    const unended = live.length === 0 ? NONE : await bulk.run(options, NOTHING);
    const kept = { ...matchOf(rest), states, again: true };
    const ended = await new BulkChange('jobs.count', statements, KEPT, kept).run(options, NOTHING);
    const count = unended.count + ended.count;
    return { count: Math.min(count, countUpTo), capped: unended.more || ended.more || count > countUpTo };
  }

  /**
   * Deletes jobs that do not run, whatever their state: all that match, but not those that run and those that are kept.
   *
   * @throws InvalidOptionsError listing every problem
   */
  async remove(filter: ListFilter, options: BulkOptions = {}): Promise<BulkResult> {
    checkListFilter('jobs.remove', filter);
    throwProblems('jobs.remove', problemsOf(options, BULK_CHECKS));
    const { statements } = this.options;
    const { state, ...rest } = filter;
    const states = (state === undefined ? REMOVABLE : [state].flat().filter(isCounted)).filter(
      (each) => each !== 'running',
    );
    if (states.length === 0) return NONE;
    return new BulkChange('jobs.remove', statements, LIVE, { ...matchOf(rest), states }).run(
      options,
      async (found) => {
        const rows = await statements.run('jobs.remove', removeJobs, { ids: found.map((job) => job.id) });
        return rows.map((row) => row.id);
      },
    );
  }

  /** Deletes a job that does not run, whatever its state. False: it runs, or there is none. */
  async delete(id: string): Promise<boolean> {
    checkId('jobs.delete', id);
    const [row] = await this.options.statements.run('jobs.delete', removeJob, { id });
    return row?.removed === true;
  }

  async #read(row: JobRow, { decrypt = false }: ReadOptions): Promise<JobRecord> {
    const { record } = readJobOf(row);
    return decrypt ? decryptedJob(record, this.options.encryptionOf) : record;
  }

  #change(
    operation: string,
    target: string | RetryFilter,
    options: BulkOptions,
    apply: (found: readonly FoundJob[]) => Promise<readonly string[]>,
  ): Promise<BulkResult> {
    const { state, ...filter } = filterOf<RetryFilter>(target);
    const finders = findersOf(state ?? (filter.ids === undefined ? 'failed' : undefined));
    return new BulkChange(operation, this.options.statements, finders, matchOf(filter)).run(options, apply);
  }

  /** The jobs with the payloads that the edit makes of theirs, read anew with their tokens; without an edit as they are. */
  async #edited(
    operation: string,
    found: readonly FoundJob[],
    edit: PayloadEdit | undefined,
  ): Promise<readonly (FoundJob & { readonly payload: string | null })[]> {
    if (edit === undefined) return found.map((job) => ({ ...job, payload: null }));
    const rows = await this.options.statements.run(operation, readJobs, { ids: found.map((job) => job.id) });
    const isKept = new Set(found.filter((job) => job.seq === NO_TOKEN).map((job) => job.id));
    const edited: (FoundJob & { readonly payload: string })[] = [];
    for (const { record, seq = isKept.has(record.id) ? NO_TOKEN : undefined } of rows.map(readJobOf)) {
      if (seq === undefined) continue; // it has ended meanwhile
      edited.push({ id: record.id, seq, payload: await this.#editedText(record, edit) });
    }
    return edited;
  }

  /** Edits see payloads in clear, and what they make is stored as encrypted as it was. */
  async #editedText(record: JobRecord, edit: PayloadEdit): Promise<string> {
    const { encryptionOf, maxPayloadBytes } = this.options;
    const queue = sealedQueueOf(record.payload) ?? record.queue;
    const encryption = encryptionOf(queue);
    const payload = await edit((await unseal(record.payload, 'payload', encryption)) as never, record);
    if (payload === undefined)
      throw new InvalidPayloadError('payload', `the edit of job ${record.id} returned undefined`);
    const text = encodeJson(payload, { maxBytes: maxPayloadBytes });
    return encryption === undefined ? text : sealText(text, encryption, { queue, kind: 'payload' });
  }
}

function isCounted(state: JobState): state is CountedState {
  return state !== 'completed' && state !== 'cancelled';
}

function checkId(subject: string, id: string): void {
  throwProblems(subject, problemsOf({ id }, { id: jobId }, ['id']));
}

function requeueProblems(target: string | RetryFilter, options: RequeueOptions): string[] {
  const problems = problemsOf(options, REQUEUE_CHECKS);
  if (options?.payload === undefined) return problems;
  if (options.edit !== undefined) problems.push('payload: excludes edit, and both were given');
  if (typeof target !== 'string')
    problems.push('payload: is for one job, by its id; with a filter use edit, which makes each payload');
  return problems;
}

function editOf({ payload, edit }: RequeueOptions): PayloadEdit | undefined {
  return payload === undefined ? edit : () => payload;
}

function filterOf<Filter extends RetryFilter | RedriveFilter | CancelFilter | ReprocessFilter>(
  target: string | Filter,
): Filter {
  return (typeof target === 'string' ? { ids: [target] } : target) as Filter;
}

function keptMatchOf(
  target: string | ReprocessFilter,
): Omit<FindKeptArgs, 'after' | 'until' | 'limit' | 'again'> {
  const { state, finishedAfter, finishedBefore, ...filter } = filterOf<ReprocessFilter>(target);
  return {
    ...matchOf(filter),
    failedAfter: finishedAfter ?? null,
    failedBefore: finishedBefore ?? null,
    states: state === undefined ? null : [state].flat(),
  };
}

function findersOf(state: RetryFilter['state']): Finders {
  switch (state) {
    case 'failed':
      return FAILED;
    case 'scheduled':
      return SCHEDULED;
    case undefined:
      return WAITING;
  }
}

function tokensOf(found: readonly FoundJob[]) {
  return { ids: found.map((job) => job.id), seqs: found.map((job) => job.seq) };
}
