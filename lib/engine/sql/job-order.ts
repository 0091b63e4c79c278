/** What tells an attempt: the id of its job, and its token. Both are positive numbers in decimal digits. */
interface Token {
  readonly id: string;
  readonly seq: string;
}

/**
 * Attempts in the order of the ids of their jobs, and of one job in that of their tokens: the order in which everybody locks jobs, so that nobody
 * waits for another in a circle.
 */
export function inOrderOfIds<Attempt extends Token>(attempts: readonly Attempt[]): Attempt[] {
  return attempts.toSorted((one, other) => compare(one.id, other.id) || compare(one.seq, other.seq));
}

/** The longer is the greater. */
function compare(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : Number(one > other);
}
