import { InvalidFilterError } from '../errors.js';

/** One term of a filter, as in `created:>2h`, and where it is. */
export interface Term {
  readonly qualifier: string;
  readonly operator: '' | '>' | '>=' | '<' | '<=';
  readonly value: string;
  readonly quoted: boolean;
  /** The whole filter, and the place of the term in it. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const LONGEST_FILTER = 4_000;
const BLANKS = /\s*/y;
const HEAD = /([^\s:"]+):(>=|<=|>|<)?/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const BARE = /[^\s"]+/y;
const WORD = /\S+/y;

/** Cuts a filter into terms. @throws InvalidFilterError pointing at what is none */
export function readTerms(text: string): Term[] {
  if (text.length > LONGEST_FILTER)
    throw new InvalidFilterError(text, LONGEST_FILTER, 1, `it is longer than ${LONGEST_FILTER} characters`);
  const terms: Term[] = [];
  for (let at = skipBlanks(text, 0); at < text.length; at = skipBlanks(text, at)) {
    const term = readTerm(text, at);
    terms.push(term);
    at = term.end;
    if (at < text.length && !/\s/.test(text.charAt(at)))
      throw new InvalidFilterError(text, at, 1, 'a blank is missing between two terms');
  }
  return terms;
}

function readTerm(text: string, start: number): Term {
  const head = matchAt(HEAD, text, start);
  if (head === undefined) throw noTerm(text, start);
  const [whole, qualifier = '', operator = ''] = head;
  const from = start + whole.length;
  const quoted = matchAt(QUOTED, text, from);
  const found = quoted ?? matchAt(BARE, text, from);
  if (found === undefined) throw noValue(text, start, from, qualifier);
  return {
    qualifier,
    operator: operator as Term['operator'],
    value: quoted === undefined ? found[0] : (quoted[1] ?? '').replaceAll(/\\(.)/g, '$1'),
    quoted: quoted !== undefined,
    text,
    start,
    end: from + found[0].length,
  };
}

function noTerm(text: string, start: number): InvalidFilterError {
  const word = matchAt(WORD, text, start)?.[0] ?? '';
  const meant = /^\d{1,19}$/.test(word) ? `id:${word}` : `queue:${word.replaceAll(/[:"]/g, '')}`;
  return new InvalidFilterError(
    text,
    start,
    word.length,
    `expected a qualifier and a value, as in ${meant} or error:"two words"`,
  );
}

function noValue(text: string, start: number, from: number, qualifier: string): InvalidFilterError {
  if (text.charAt(from) === '"')
    return new InvalidFilterError(text, from, text.length - from, 'the quote is not closed');
  return new InvalidFilterError(text, start, from - start, `${qualifier}: expects a value`);
}

function skipBlanks(text: string, at: number): number {
  return at + (matchAt(BLANKS, text, at)?.[0].length ?? 0);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
