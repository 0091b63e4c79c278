import { createHash } from 'node:crypto';
import { InvalidOptionsError } from '../errors.js';
import { JOB_FLAGS } from '../job/job-flags.js';
import type { QueueRules } from '../job/queue-definition.js';
import { keyText } from '../option-checks.js';
import type { JobOptions, ParentEdge, ParentRef, UniqueOptions } from './enqueue-options.js';

/** The most of a group that may run at once where only its rate is limited. */
const NO_LIMIT = 2_147_483_647;

/**
 * What a job has to obey beyond its time and its place in the queue, as the text of the fields that `enqueue_rules` takes; `''` for
 * a plain job.
 *
 * @param rules what the publisher knows of its queue
 * @throws InvalidOptionsError when a key is no text of at most 256 bytes
 */
export function rulesText(
  queue: string,
  payload: unknown,
  options: JobOptions,
  rules: QueueRules | undefined,
): string {
  let text = groupText(queue, payload, options, rules);
  if (options.unique !== undefined)
    text += `,"u":${JSON.stringify(uniqueRule(queue, payload, options.unique, rules))}`;
  if (options.dependsOn !== undefined && options.dependsOn.length > 0)
    text += `,"dep":${JSON.stringify(options.dependsOn.map(edgeOf))},"pf":"${(options.onParentFailure ?? 'cancel')[0]}"`;
  if (options.batch !== undefined) text += `,"b":${JSON.stringify(idOf(options.batch))}`;
  if (options.expiresAt !== undefined) text += `,"ex":${JSON.stringify(options.expiresAt)}`;
  if (options.keepResult === true) text += `,"f":${JOB_FLAGS.keepResult}`;
  return text;
}

function groupText(
  queue: string,
  payload: unknown,
  options: JobOptions,
  rules: QueueRules | undefined,
): string {
  const keyed = rules?.keyConcurrency ?? rules?.rateLimit;
  if (keyed?.key === undefined) return givenGroup(options);
  if (options.group !== undefined)
    throw new InvalidOptionsError(`enqueue(${JSON.stringify(queue)})`, [
      'group: excludes keyConcurrency and the key of rateLimit, which the queue has',
    ]);
  const key = keyed.key(payload as never);
  if (key === undefined) return '';
  checkKey(queue, key);
  const stored = rules?.encryption === undefined ? key : hashOf(queue, key);
  return `,"g":${JSON.stringify(stored)},"gs":${slotsOf(key, rules)}`;
}

function givenGroup({ group, groupConcurrency }: JobOptions): string {
  if (group === undefined) return '';
  const slots = groupConcurrency === undefined ? '' : `,"gs":${groupConcurrency}`;
  return `,"g":${JSON.stringify(group)}${slots}`;
}

function slotsOf(key: string, rules: QueueRules | undefined): number {
  const limit = rules?.keyConcurrency?.limit ?? NO_LIMIT;
  const slots = typeof limit === 'number' ? limit : limit(key);
  return Math.max(1, Math.min(NO_LIMIT, Math.trunc(slots)));
}

function checkKey(queue: string, key: string): void {
  const problems: string[] = [];
  keyText(key, 'the key of its limit', problems);
  if (problems.length > 0) throw new InvalidOptionsError(`enqueue(${JSON.stringify(queue)})`, problems);
}

/** The rule as `enqueue_jobs()` in the database takes it. */
function uniqueRule(
  queue: string,
  payload: unknown,
  unique: UniqueOptions,
  rules: QueueRules | undefined,
): Record<string, unknown> {
  const { key, periodMs, onConflict = 'keep' } = unique;
  return {
    ...(key === undefined ? fieldsKey(queue, payload, unique, rules) : { k: key }),
    s: scopeOf(unique) === 'pending' ? 'p' : 'a',
    ...conflictRule(onConflict),
    ...(unique.scope === 'forever' ? { ms: null } : periodMs !== undefined && { ms: periodMs }),
  };
}

/** Values that are encrypted in the payload are not in clear in the key. */
function fieldsKey(
  queue: string,
  payload: unknown,
  { fields = [] }: UniqueOptions,
  rules: QueueRules | undefined,
): Record<string, unknown> {
  const values = fields.map((path) => valueAt(payload, path));
  return rules?.encryption === undefined ? { v: values } : { k: hashOf(queue, canonicalJson(values)) };
}

/** What tells the keys of a queue apart, and does not show them. Whoever guesses a key can tell that it is the one. */
function hashOf(queue: string, text: string): string {
  return `sha256:${createHash('sha256').update(`${queue}\0${text}`).digest('hex')}`;
}

/** As the database tells objects apart: not by the order of their fields. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function conflictRule(onConflict: NonNullable<UniqueOptions['onConflict']>): Record<string, unknown> {
  if (typeof onConflict !== 'object') return { c: onConflict === 'latest' ? 'replace' : onConflict };
  if ('reducer' in onConflict) return { c: 'reduce' };
  return { c: 'debounce', w: onConflict.debounceMs, mw: onConflict.maxWaitMs };
}

function scopeOf({ scope, onConflict }: UniqueOptions): string {
  const aboutWaiting = typeof onConflict === 'object' || onConflict === 'merge' || onConflict === 'latest';
  return scope ?? (aboutWaiting ? 'pending' : 'active');
}

/** What a payload has at a path with dots; `null` where there is nothing. */
export function valueAt(payload: unknown, path: string): unknown {
  let value: unknown = payload;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return null;
    value = (value as Record<string, unknown>)[step];
  }
  return value ?? null;
}

function edgeOf(parent: ParentRef | ParentEdge): string | { readonly i: string; readonly p?: string } {
  if (typeof parent !== 'object' || !('job' in parent)) return idOf(parent);
  return { i: idOf(parent.job), ...(parent.onFailure !== undefined && { p: parent.onFailure[0]! }) };
}

function idOf(parent: string | { readonly id: string }): string {
  return typeof parent === 'string' ? parent : parent.id;
}
