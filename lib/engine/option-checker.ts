import { InvalidOptionsError } from './errors.js';

/**
 * Looks at the value of one option and adds a problem for each thing wrong with it.
 * @param at where the option is, as messages say it: `lease.ttlMs`
 */
export type Check = (value: unknown, at: string, problems: string[]) => void;

/** The options an object may have, each with its check. */
export type Checks = Readonly<Record<string, Check>>;

/** The longest time a timer of Node can wait, in milliseconds; longer ones fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** Throws one error that lists all problems, when there are any. */
export function throwProblems(subject: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidOptionsError(subject, problems);
}

/** All that is wrong with `options`, whose keys must be those of `checks`. */
export function problemsOf(options: unknown, checks: Checks, required: readonly string[] = []): string[] {
  const problems: string[] = [];
  object(checks, required)(options, '', problems);
  return problems;
}

/** The defaults where nothing is given; `undefined`, as of a variable that is not set, is nothing. */
export function withDefaults<Options extends object>(
  defaults: Options,
  given: Partial<Options> = {},
): Options {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...defaults, ...Object.fromEntries(entries) });
}

/** Divides options by key: those named in `checks` (a layer's own), and the rest (for the layer below). */
export function splitOptions(
  options: object,
  checks: Checks,
): { own: Record<string, unknown>; rest: Record<string, unknown> } {
  const entries = Object.entries(options);
  return {
    own: Object.fromEntries(entries.filter(([key]) => Object.hasOwn(checks, key))),
    rest: Object.fromEntries(entries.filter(([key]) => !Object.hasOwn(checks, key))),
  };
}

/** A check by predicate. `expected` completes "expected ...". */
export function check(expected: string, accepts: (value: unknown) => boolean): Check {
  return (value, at, problems) => {
    if (!accepts(value)) problems.push(problem(at, expected, value));
  };
}

/** A check whose messages never show the value, nor anything in it. */
export function secret(expected: string, accepts: (value: unknown) => boolean): Check {
  return (value, at, problems) => {
    if (!accepts(value)) problems.push(`${at}: expected ${expected}, got ${kindOf(value)}`);
  };
}

export function integer(min: number, max: number): Check {
  return check(`an integer from ${min} to ${max}`, (value) => isIntegerWithin(value, min, max));
}

/** Milliseconds that a timer can wait, or `Infinity`. */
export function timeout(min: number): Check {
  const accepts = (value: unknown) => value === Infinity || isIntegerWithin(value, min, MAX_TIMER_MS);
  return check(`an integer from ${min} to ${MAX_TIMER_MS}, or Infinity`, accepts);
}

export const boolean: Check = check('true or false', (value) => typeof value === 'boolean');

export const callable: Check = check('a function', (value) => typeof value === 'function');

export function oneOf(...values: readonly string[]): Check {
  return check(values.map((value) => `'${value}'`).join(' or '), (value) => values.includes(value as string));
}

/** An array, each element checked. */
export function listOf(item: Check, limits: { readonly min?: number; readonly max?: number } = {}): Check {
  const { min = 0, max = Infinity } = limits;
  return (value, at, problems) => {
    if (!Array.isArray(value)) return void problems.push(problem(at, 'an array', value));
    if (value.length < min) problems.push(`${at}: expected at least ${min} element, got ${value.length}`);
    if (value.length > max) problems.push(`${at}: expected at most ${max} elements, got ${value.length}`);
    value.slice(0, max).forEach((element, index) => item(element, `${at}[${index}]`, problems));
  };
}

/** An object with no other keys than those of `checks`. An option that is `undefined` counts as not given. */
export function object(checks: Checks, required: readonly string[] = []): Check {
  return (value, at, problems) => {
    if (!isObject(value)) return void problems.push(problem(at || 'options', 'an object', value));
    for (const key of Object.keys(value)) checkOption(checks, key, value[key], at, problems);
    for (const key of required) {
      if (value[key] === undefined) checks[key]?.(undefined, join(at, key), problems);
    }
  };
}

/** Narrowing for checks of several forms: an object, and no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The problem with a value, without telling more of it than a message may. */
export function problem(at: string, expected: string, value: unknown): string {
  return `${at}: expected ${expected}, got ${shown(value)}`;
}

function checkOption(checks: Checks, key: string, value: unknown, at: string, problems: string[]): void {
  // Own keys only: "constructor" and "toString" are no options.
  const known = Object.hasOwn(checks, key) ? checks[key] : undefined;
  if (known === undefined)
    problems.push(`${join(at, key)}: unknown option, ${suggestion(key, Object.keys(checks))}`);
  else if (value !== undefined) known(value, at === '' ? key : join(at, key), problems);
}

function join(at: string, key: string): string {
  const name = /^[\w$]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, 64));
  return at === '' ? name : `${at}.${name}`;
}

function isIntegerWithin(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

const MAX_SHOWN_LENGTH = 40;

/** A value as messages show it: short, and never the content of objects or of URLs, which may hold credentials. */
function shown(value: unknown): string {
  if (typeof value !== 'string')
    return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value);
  if (value.includes('://')) return 'a URL';
  return JSON.stringify(value.length > MAX_SHOWN_LENGTH ? `${value.slice(0, MAX_SHOWN_LENGTH)}…` : value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value === '') return 'an empty string';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** What to write instead of an unknown name. */
export function suggestion(key: string, known: readonly string[]): string {
  const [best] = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(name.length / 3)))
    .toSorted((a, b) => a.distance - b.distance);
  return best === undefined ? `known are ${known.join(', ')}` : `did you mean "${best.name}"?`;
}

/** How many letters must be put in, taken out or replaced to turn one word into the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of Array.from(from.slice(0, 64)).entries())
    row = nextRow(row, index + 1, letter, to);
  return row[to.length] ?? 0;
}

function nextRow(above: readonly number[], first: number, letter: string, to: string): number[] {
  const row = [first];
  for (let column = 1; column <= to.length; column += 1) {
    const replaced = above[column - 1]! + (letter === to[column - 1] ? 0 : 1);
    row.push(Math.min(replaced, above[column]! + 1, row[column - 1]! + 1));
  }
  return row;
}
