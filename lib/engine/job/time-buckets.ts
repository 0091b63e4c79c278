/** Upper bounds of the buckets into which waiting and running times are counted, in milliseconds; one more bucket takes the rest. Stored numbers depend on them. */
export const TIME_BUCKETS_MS: readonly number[] = [
  5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000,
];

/** The place of a time in {@link TIME_BUCKETS_MS}. */
export function bucketOf(ms: number): number {
  let bucket = 0;
  while (bucket < TIME_BUCKETS_MS.length && ms > (TIME_BUCKETS_MS[bucket] as number)) bucket += 1;
  return bucket;
}

/**
 * The time below which a share of what was counted lies, in milliseconds, as if times were spread evenly within their bucket. `undefined`
 * when nothing was counted.
 *
 * @param share from 0 to 1
 */
export function quantileOf(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = total * share;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && left <= count) return within(bucket, left / count);
    left -= count;
  }
  return within(counts.length - 1, 1);
}

/** The last bucket has no end: its times count as its beginning. */
function within(bucket: number, share: number): number {
  const from = TIME_BUCKETS_MS[bucket - 1] ?? 0;
  const to = TIME_BUCKETS_MS[bucket] ?? from;
  return from + (to - from) * share;
}
