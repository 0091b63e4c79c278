import { InvalidFilterError } from '../errors.js';
import type { JobState } from '../job/job-state.js';
import { suggestion } from '../option-checker.js';
import { readTerms, type Term } from './filter-terms.js';
import { JOB_STATES, type ListFilter, type PayloadMatch } from './job-filter.js';

/** Options of {@link parseFilter}. */
export interface ParseFilterOptions {
  /** What ages, as in `created:>2h`, are counted back from. @default now */
  readonly now?: Date;
}

/** The qualifiers of the filter language, as they are written, with what they select: for help and completion. */
export const FILTER_QUALIFIERS = Object.freeze({
  queue: 'jobs of this queue; several with commas',
  state: 'scheduled, ready, running, blocked, completed, failed or cancelled',
  id: 'the job of this id; several with commas',
  tag: 'jobs with this tag; several terms: all of them',
  error: 'words in the name, the code or the message of the last error',
  errorName: 'the name of the last error, exactly',
  errorCode: 'the code of the last error, exactly',
  fingerprint: 'failures of one kind',
  key: 'the unique key, exactly',
  group: 'the group, exactly',
  attempts: 'how many attempts have ended: 3, >2, <5',
  created: 'when it was enqueued: >2026-11-01, <2h',
  failed: 'when it failed for good: >2026-11-01T12:00Z, <30m',
  payload: 'a field of the payload: payload.user.id:42',
} as const);

type Draft = { -readonly [Key in keyof ListFilter]: ListFilter[Key] };
type Reader = (draft: Draft, term: Term, now: Date) => void;

const READERS: Readonly<Record<Exclude<keyof typeof FILTER_QUALIFIERS, 'payload'>, Reader>> = {
  queue: (draft, term) => (draft.queue = [...listed(draft.queue as string[] | undefined), ...namesIn(term)]),
  state: (draft, term) =>
    (draft.state = [
      ...listed(draft.state as JobState[] | undefined),
      ...namesIn(term).map((name) => stateOf(term, name)),
    ]),
  id: (draft, term) => (draft.ids = [...listed(draft.ids), ...namesIn(term).map((name) => idOf(term, name))]),
  tag: (draft, term) => (draft.tags = [...listed(draft.tags), equal(term)]),
  error: (draft, term) => (draft.errorText = once(draft.errorText, term)),
  errorName: (draft, term) => (draft.errorName = once(draft.errorName, term)),
  errorCode: (draft, term) => (draft.errorCode = once(draft.errorCode, term)),
  fingerprint: (draft, term) => (draft.fingerprint = once(draft.fingerprint, term)),
  key: (draft, term) => (draft.uniqueKey = once(draft.uniqueKey, term)),
  group: (draft, term) => (draft.group = once(draft.group, term)),
  attempts: readAttempts,
  created: (draft, term, now) => readTime(term, now, (bound, at) => (draft[`created${bound}`] = at)),
  failed: (draft, term, now) => readTime(term, now, (bound, at) => (draft[`failed${bound}`] = at)),
};

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads a filter as people write it: `queue:emails state:failed payload.user.id:42 created:>2h error:"connection reset"`. Terms are
 * separated by blanks and all of them apply; {@link FILTER_QUALIFIERS} lists what there is. Values with blanks are quoted.
 *
 * @throws InvalidFilterError pointing at the place
 */
export function parseFilter(text: string, { now = new Date() }: ParseFilterOptions = {}): ListFilter {
  const draft: Draft = {};
  for (const term of readTerms(text)) readerOf(term)(draft, term, now);
  return draft;
}

function readerOf(term: Term): Reader {
  if (term.qualifier.startsWith('payload.')) return readPayload;
  const known = Object.keys(READERS).find((name) => name.toLowerCase() === term.qualifier.toLowerCase());
  if (known !== undefined) return READERS[known as keyof typeof READERS];
  if (term.qualifier === 'payload') throw problemIn(term, 'name a field of it, as in payload.user.id:42');
  const names = [...Object.keys(READERS), 'payload.'];
  throw problemIn(term, `unknown qualifier "${term.qualifier}", ${suggestion(term.qualifier, names)}`);
}

function readPayload(draft: Draft, term: Term): void {
  const path = term.qualifier.split('.').slice(1);
  if (path.includes('')) throw problemIn(term, 'a name is missing between two dots');
  const match: PayloadMatch = { path, equals: equal(term) };
  draft.payload = [...listed(draft.payload), match];
}

function readAttempts(draft: Draft, term: Term): void {
  if (!/^\d{1,9}$/.test(term.value)) throw problemIn(term, `expected a number, got "${term.value}"`);
  const count = Number(term.value);
  if (term.operator === '' || term.operator === '>=') draft.runCountFrom = count;
  if (term.operator === '' || term.operator === '<=') draft.runCountTo = count;
  if (term.operator === '>') draft.runCountFrom = count + 1;
  if (term.operator === '<') draft.runCountTo = Math.max(0, count - 1);
}

/** `created:>2h`, "after two hours ago", is what has been created within the last two hours. */
function readTime(term: Term, now: Date, set: (bound: 'After' | 'Before', at: Date) => void): void {
  const at = timeOf(term, now);
  switch (term.operator) {
    case '>':
    case '>=':
      return set('After', at);
    case '<':
    case '<=':
      return set('Before', at);
    case '':
      throw problemIn(
        term,
        `write ${term.qualifier}:>${term.value} for later, ${term.qualifier}:< for earlier`,
      );
  }
}

function timeOf(term: Term, now: Date): Date {
  const [, amount, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(term.value) ?? [];
  if (amount !== undefined) return new Date(now.getTime() - Number(amount) * (UNIT_MS[unit] as number));
  const at = /^\d{4}-\d{2}/.test(term.value) ? new Date(term.value) : new Date(Number.NaN);
  if (Number.isNaN(at.getTime()))
    throw problemIn(term, `expected a date as 2026-11-01, or an age as 30m, 2h or 7d, got "${term.value}"`);
  return at;
}

function stateOf(term: Term, name: string): JobState {
  const state = JOB_STATES.find((known) => known === name.toLowerCase());
  if (state === undefined) throw problemIn(term, `unknown state "${name}", ${suggestion(name, JOB_STATES)}`);
  return state;
}

function idOf(term: Term, name: string): string {
  if (!/^\d{1,19}$/.test(name)) throw problemIn(term, `expected the id of a job, got "${name}"`);
  return name;
}

/** Of a quoted value the commas belong to the name. */
function namesIn(term: Term): string[] {
  const value = equal(term);
  const names = term.quoted ? [value] : value.split(',');
  if (names.includes('')) throw problemIn(term, 'a name is missing beside a comma');
  return names;
}

function once(before: string | undefined, term: Term): string {
  if (before !== undefined) throw problemIn(term, `${term.qualifier} is given twice`);
  return equal(term);
}

function equal(term: Term): string {
  if (term.operator !== '')
    throw problemIn(term, `${term.qualifier} has no order: write ${term.qualifier}:…`);
  return term.value;
}

function listed<T>(before: readonly T[] | undefined): readonly T[] {
  return before ?? [];
}

function problemIn(term: Term, reason: string): InvalidFilterError {
  return new InvalidFilterError(term.text, term.start, term.end - term.start, reason);
}
