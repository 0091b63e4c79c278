import type { Tables } from './tables.js';

/** One SQL statement: a named value with typed arguments and rows. */
export interface Statement<Args, Row> {
  /** Unique, snake_case; also the name of the prepared statement. */
  readonly name: string;
  /** The text for a schema: constant but for table names, values only through `$n`. */
  readonly text: (tables: Tables) => string;
  readonly values: (args: Args) => unknown[];
  /** Types only. */
  readonly '~row'?: Row;
}

/** Declares a statement; exists for its types. */
export function statement<Args, Row>(definition: Omit<Statement<Args, Row>, '~row'>): Statement<Args, Row> {
  return Object.freeze(definition);
}

/** A PostgreSQL array literal of numbers: cheaper than letting the driver quote and escape each. */
export function numberArray(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}
