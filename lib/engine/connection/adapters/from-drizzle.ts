import { InvalidOptionsError } from '../../errors.js';
import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';
import { cutAtPlaceholders } from './placeholders.js';

/** What is needed of Drizzle's transaction, on `node-postgres` or `postgres.js`. */
export interface DrizzleTransaction<Sql> {
  execute(query: Sql): PromiseLike<unknown>;
}

/** Drizzle's `sql` tag. */
export interface DrizzleSql<Sql> {
  (strings: TemplateStringsArray, ...params: unknown[]): Sql;
}

/**
 * A transaction of Drizzle: what `db.transaction(async (tx) => ...)` hands to its function. Its `sql` tag binds the values:
 * `fromDrizzle(tx, sql)`, with `import { sql } from 'drizzle-orm'`.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromDrizzle<Sql>(tx: DrizzleTransaction<Sql>, sql: DrizzleSql<Sql>): Transaction {
  assertHasMethod('fromDrizzle', tx, 'execute', "Drizzle's transaction");
  if (typeof sql !== 'function')
    throw new InvalidOptionsError('fromDrizzle()', ["expected Drizzle's sql tag as the second argument"]);
  return {
    query: async (text, values) => {
      const cut = cutAtPlaceholders(text, values);
      return tx.execute(sql(asTemplate(cut.texts), ...cut.values));
    },
  };
}

function asTemplate(texts: readonly string[]): TemplateStringsArray {
  return Object.assign([...texts], { raw: texts });
}
