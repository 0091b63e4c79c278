/** A time from the database, as reasons tell it. */
export function dateOf(iso: string | null | undefined): Date | undefined {
  return iso === null || iso === undefined ? undefined : new Date(iso);
}

/** `job 7`, `jobs 7 and 9`, `jobs 7, 9 and 2 more`: at most three are named. */
export function jobsText(ids: readonly string[], total = ids.length): string {
  const named = ids.slice(0, total > 3 ? 2 : 3);
  const all = total > named.length ? [...named, `${total - named.length} more`] : named;
  const text = all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
  return `${total === 1 ? 'job' : 'jobs'} ${text}`;
}

/** ` until 2026-11-28T07:00:00.000Z`, or nothing. */
export function untilText(until: Date | undefined): string {
  return until === undefined ? '' : ` until ${until.toISOString()}`;
}
