import type pg from 'pg';
import type { Tables } from './tables.js';

/** One SQL statement: a named value with typed arguments and rows. */
export interface Statement<Args, Row> {
  /** Unique, snake_case; also the name of the prepared statement. */
  readonly name: string;
  /** The text for a schema: constant but for table names, values only through `$n`. */
  readonly text: (tables: Tables) => string;
  readonly values: (args: Args) => unknown[];
  /** Rows come as arrays of the text of each column, not as objects of parsed values: for statements of many rows. @default false */
  readonly texts?: boolean;
  /** Types only. */
  readonly '~row'?: Row;
}

/** Declares a statement; exists for its types. */
export function statement<Args, Row>(definition: Omit<Statement<Args, Row>, '~row'>): Statement<Args, Row> {
  return Object.freeze(definition);
}

/** A statement as `pg` runs it, without a name. */
export function queryOf<Args>(
  { text, values, texts }: Statement<Args, unknown>,
  tables: Tables,
  args: Args,
): pg.QueryConfig {
  const query = { text: text(tables), values: values(args) };
  return texts === true ? ({ ...query, rowMode: 'array', types: UNPARSED } as pg.QueryConfig) : query;
}

const UNPARSED = { getTypeParser: () => (text: string) => text };

/** A PostgreSQL array literal of numbers: cheaper than letting the driver quote and escape each. */
export function numberArray(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}
