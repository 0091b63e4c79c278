/** The value below which a share of the samples lies. */
export function quantile(samples, share) {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (samples) => quantile(samples, 0.5);

/** Median with its spread, rounded for people. */
export function spread(samples, digits = 0) {
  const round = (value) => value.toFixed(digits);
  return `${round(median(samples))} (${round(Math.min(...samples))} to ${round(Math.max(...samples))})`;
}
