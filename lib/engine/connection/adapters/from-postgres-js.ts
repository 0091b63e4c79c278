import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';

/** What is needed of a transaction of postgres.js. */
export interface PostgresJsTransaction {
  // oxlint-disable-next-line typescript/no-explicit-any -- postgres.js declares its parameters and rows by types of its own
  unsafe(query: string, parameters?: any[]): PromiseLike<any>;
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  typed(value: any, oid: number): any;
}

/** The type `text` of PostgreSQL. */
const TEXT_OID = 25;

/**
 * A transaction of postgres.js: what `sql.begin(async (sql) => ...)` or `sql.savepoint(...)` hands to its function.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromPostgresJs(sql: PostgresJsTransaction): Transaction {
  assertHasMethod('fromPostgresJs', sql, 'unsafe', 'a transaction of postgres.js');
  // As text: what the server infers to be JSON postgres.js would encode once more.
  const bound = (value: unknown) => (typeof value === 'string' ? sql.typed(value, TEXT_OID) : value);
  return { query: async (text, values = []) => sql.unsafe(text, values.map(bound)) };
}
