import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import type { JobState } from '../job/job-state.js';
import {
  check,
  integer,
  isObject,
  listOf,
  object,
  oneOf,
  problem,
  throwProblems,
} from '../option-checker.js';
import type { Check, Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { MAX_DELAY_MS } from '../retry/retry-delay.js';
import type { MatchArgs } from '../sql/find-jobs.js';

/** Which jobs are meant: those to which everything applies that is given. */
export interface JobFilter {
  readonly queue?: AnyQueue | readonly AnyQueue[];
  /** At most 10,000. */
  readonly ids?: readonly string[];
  /** The name of the last error: `TypeError`. */
  readonly errorName?: string;
  /** The code of the last error: `ECONNRESET`, `TM_JOB_TIMEOUT`. */
  readonly errorCode?: string;
  readonly failedAfter?: Date;
  readonly failedBefore?: Date;
  /** Created longer ago than this, in milliseconds. */
  readonly olderThanMs?: number;
  /** Has all of these. */
  readonly tags?: readonly string[];
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
  /** In the name, the code or the message of the last error, whatever the case. */
  readonly errorText?: string;
  /** That of the last error: see {@link FailureGroup}. */
  readonly fingerprint?: string;
  readonly uniqueKey?: string;
  readonly group?: string;
  /** At least so many attempts have ended. */
  readonly runCountFrom?: number;
  /** At most so many attempts have ended. */
  readonly runCountTo?: number;
  /** All of these; at most 10. Looks at each job that matches otherwise. */
  readonly payload?: readonly PayloadMatch[];
}

/** A field of a payload, and what is in it. */
export interface PayloadMatch {
  /** Names of fields, and places in arrays: `['user', 'emails', '0']`. */
  readonly path: readonly string[];
  /** The field as text: `42` is in both `{"id": 42}` and `{"id": "42"}`. */
  readonly equals: string;
}

/** Which jobs are told of. */
export interface ListFilter extends JobFilter {
  readonly state?: JobState | readonly JobState[];
}

/** Which jobs are to run again: failed ones, unless something else is said. */
export interface RetryFilter extends JobFilter {
  /** @default 'failed'; with `ids` also scheduled ones */
  readonly state?: 'failed' | 'scheduled';
}

/** States in which a job has not ended. */
export type LiveState = 'ready' | 'running' | 'scheduled' | 'blocked';

/** Which jobs are to be cancelled. */
export interface CancelFilter extends JobFilter {
  /** @default all of them: ready, running, scheduled and blocked */
  readonly state?: LiveState | readonly LiveState[];
}

/** States in which a job has ended. */
export type EndedState = 'completed' | 'failed' | 'cancelled';

/** Which jobs that have ended and are kept are to be enqueued again. */
export interface ReprocessFilter extends Omit<JobFilter, 'failedAfter' | 'failedBefore'> {
  /** @default all of them */
  readonly state?: EndedState | readonly EndedState[];
  readonly finishedAfter?: Date;
  readonly finishedBefore?: Date;
}

/** Which dead letters go back. Their errors, and when they failed, are those of the jobs they are copies of. */
export interface RedriveFilter extends JobFilter {
  /** The queue they come from. */
  readonly source?: AnyQueue;
}

export const LIVE_STATES: readonly LiveState[] = ['ready', 'running', 'scheduled', 'blocked'];
const ENDED_STATES: readonly EndedState[] = ['completed', 'failed', 'cancelled'];
export const JOB_STATES: readonly JobState[] = [
  'scheduled',
  'ready',
  'running',
  'blocked',
  'completed',
  'failed',
  'cancelled',
];
const MAX_IDS = 10_000;
const MAX_QUEUES = 1_000;
const MAX_RUN_COUNT = 2_147_483_647;
const MAX_ID = 9_223_372_036_854_775_807n;

/** The id of a job, as `enqueue` answers with it. */
export const jobId: Check = check('the id of a job, a string of digits', isJobId);

const text = check('a text', (value) => typeof value === 'string' && value !== '');
const anyText = check('a text', (value) => typeof value === 'string');
const date = check('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime()));

const FILTER_CHECKS = {
  queue: (value, at, problems) =>
    Array.isArray(value)
      ? listOf(queueReference, { min: 1, max: MAX_QUEUES })(value, at, problems)
      : queueReference(value, at, problems),
  ids: listOf(jobId, { max: MAX_IDS }),
  errorName: text,
  errorCode: text,
  failedAfter: date,
  failedBefore: date,
  olderThanMs: integer(0, MAX_DELAY_MS),
  tags: listOf(text, { min: 1, max: 20 }),
  createdAfter: date,
  createdBefore: date,
  errorText: text,
  fingerprint: text,
  uniqueKey: text,
  group: text,
  runCountFrom: integer(0, MAX_RUN_COUNT),
  runCountTo: integer(0, MAX_RUN_COUNT),
  payload: listOf(
    object({ path: listOf(anyText, { min: 1, max: 20 }), equals: anyText }, ['path', 'equals']),
    { min: 1, max: 10 },
  ),
} satisfies Checks;

/** One of these, or several. */
function someOf(states: readonly string[]): Check {
  const state = oneOf(...states);
  const several = listOf(state, { min: 1 });
  return (value, at, problems) => (Array.isArray(value) ? several : state)(value, at, problems);
}

const { failedAfter: _after, failedBefore: _before, ...KEPT_CHECKS } = FILTER_CHECKS;
const listFilter = object({ ...FILTER_CHECKS, state: someOf(JOB_STATES) });
const cancelFilter = object({ ...FILTER_CHECKS, state: someOf(LIVE_STATES) });
const reprocessFilter = object({
  ...KEPT_CHECKS,
  finishedAfter: date,
  finishedBefore: date,
  state: someOf(ENDED_STATES),
});
const retryFilter = object({ ...FILTER_CHECKS, state: oneOf('failed', 'scheduled') });
const redriveFilter = object({ ...FILTER_CHECKS, source: queueReference });

/** @throws InvalidOptionsError listing every problem */
export function checkListFilter(subject: string, filter: ListFilter): void {
  throwProblems(subject, problemsIn(listFilter, filter));
}

/** @throws InvalidOptionsError listing every problem */
export function checkRetryFilter(subject: string, target: string | RetryFilter): void {
  throwProblems(subject, targetProblems(retryFilter, target));
}

/** @throws InvalidOptionsError listing every problem */
export function checkRedriveFilter(subject: string, target: string | RedriveFilter): void {
  throwProblems(subject, targetProblems(redriveFilter, target));
}

/** @throws InvalidOptionsError listing every problem */
export function checkCancelFilter(subject: string, target: string | CancelFilter): void {
  throwProblems(subject, targetProblems(cancelFilter, target));
}

/** @throws InvalidOptionsError listing every problem */
export function checkReprocessFilter(subject: string, target: string | ReprocessFilter): void {
  throwProblems(subject, targetProblems(reprocessFilter, target));
}

/** The filter as statements take it. */
export function matchOf(filter: JobFilter & { readonly source?: AnyQueue }): MatchArgs {
  const { queue, ids, errorName, errorCode, failedAfter, failedBefore, olderThanMs, tags, source } = filter;
  return {
    queues: queue === undefined ? null : queueNames(queue),
    ids: ids ?? null,
    errorName: errorName ?? null,
    errorCode: errorCode ?? null,
    failedAfter: failedAfter ?? null,
    failedBefore: failedBefore ?? null,
    olderThanMs: olderThanMs ?? null,
    tags: tags ?? null,
    source: source === undefined ? null : queueNameOf(source),
    createdAfter: filter.createdAfter ?? null,
    createdBefore: filter.createdBefore ?? null,
    errorText: filter.errorText ?? null,
    fingerprint: filter.fingerprint ?? null,
    uniqueKey: filter.uniqueKey ?? null,
    group: filter.group ?? null,
    runCountFrom: filter.runCountFrom ?? null,
    runCountTo: filter.runCountTo ?? null,
    payload: filter.payload?.map(({ path, equals }) => [path, equals] as const) ?? null,
  };
}

function targetProblems(checkFilter: Check, target: unknown): string[] {
  if (typeof target === 'string') return problemsIn(jobId, target, 'id');
  if (!isObject(target)) return [problem('filter', 'the id of a job, or a filter', target)];
  return problemsIn(checkFilter, target);
}

function problemsIn(checkValue: Check, value: unknown, at = ''): string[] {
  const problems: string[] = [];
  checkValue(value, at, problems);
  return problems;
}

function queueNames(queue: AnyQueue | readonly AnyQueue[]): string[] {
  return (isList(queue) ? queue : [queue]).map(queueNameOf);
}

/** `Array.isArray` does not tell a readonly array from the rest. */
function isList(queue: AnyQueue | readonly AnyQueue[]): queue is readonly AnyQueue[] {
  return Array.isArray(queue);
}

function isJobId(value: unknown): boolean {
  return typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) <= MAX_ID;
}
