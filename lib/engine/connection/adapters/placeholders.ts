/** A statement cut at its placeholders: `texts` has one more entry than `values`. */
export interface CutStatement {
  readonly texts: readonly string[];
  /** The value of each placeholder, in the order of the text; one that is used twice is there twice. */
  readonly values: readonly unknown[];
}

/** Cuts a statement at `$1`, `$2` and so on, for libraries that have placeholders of their own. */
export function cutAtPlaceholders(text: string, values: readonly unknown[] = []): CutStatement {
  const pieces = text.split(/\$(\d+)/);
  return {
    texts: pieces.filter((_, index) => index % 2 === 0),
    values: pieces.filter((_, index) => index % 2 === 1).map((number) => values[Number(number) - 1]),
  };
}

/** The same statement with `?` for each placeholder, and question marks of its own escaped as `\?`. */
export function withQuestionMarks(text: string, values?: readonly unknown[]): [string, unknown[]] {
  const cut = cutAtPlaceholders(text, values);
  return [cut.texts.map((piece) => piece.replaceAll('?', String.raw`\?`)).join('?'), [...cut.values]];
}
