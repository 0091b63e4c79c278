const REDACTED = '[redacted]';
const DEPTH = 40;

/** Hides fields of plain data: by their name wherever they are, or by their path. */
export class Redaction {
  readonly #names = new Set<string>();
  readonly #paths: readonly (readonly string[])[];

  /** @param patterns names, or paths with `*` for any one name */
  constructor(patterns: readonly string[]) {
    const split = patterns.map((pattern) => pattern.toLowerCase().split('.'));
    for (const path of split) if (path.length === 1) this.#names.add(path[0] as string);
    this.#paths = split.filter((path) => path.length > 1);
  }

  /** A copy without what is hidden. */
  apply(value: unknown): unknown {
    return this.#names.size === 0 && this.#paths.length === 0 ? value : this.#copy(value, []);
  }

  /** Whether a field, or what it is in, is hidden: then nobody may search for it either. */
  hides(path: readonly string[]): boolean {
    return path.some((_, index) =>
      this.#isHidden(path.slice(0, index + 1).map((name) => name.toLowerCase())),
    );
  }

  #copy(value: unknown, path: readonly string[]): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (path.length > DEPTH) return '[too deep]';
    if (Array.isArray(value)) return value.map((each, index) => this.#field(each, [...path, String(index)]));
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, this.#field(each, [...path, key.toLowerCase()])]),
    );
  }

  #field(value: unknown, path: readonly string[]): unknown {
    return this.#isHidden(path) ? REDACTED : this.#copy(value, path);
  }

  #isHidden(path: readonly string[]): boolean {
    if (this.#names.has(path.at(-1) ?? '')) return true;
    return this.#paths.some((hidden) => endsWith(path, hidden));
  }
}

/** A path is looked for at the end, so that `card.number` is hidden wherever a card is. */
function endsWith(path: readonly string[], hidden: readonly string[]): boolean {
  const end = path.slice(-hidden.length);
  return end.length === hidden.length && hidden.every((name, index) => name === '*' || name === end[index]);
}
