import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';

/** What is needed of Kysely's transaction. */
export interface KyselyTransaction {
  // oxlint-disable-next-line typescript/no-explicit-any -- a compiled query is made of Kysely's own types
  executeQuery(query: any): Promise<{ readonly rows: unknown[] }>;
}

/**
 * A transaction of Kysely on PostgreSQL: what `db.transaction().execute(async (trx) => ...)` hands to its function, or a
 * controlled one.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromKysely(trx: KyselyTransaction): Transaction {
  assertHasMethod('fromKysely', trx, 'executeQuery', "Kysely's transaction");
  return { query: (text, values = []) => trx.executeQuery(compiledQuery(text, values)) };
}

/** As Kysely's `CompiledQuery.raw` makes it. */
function compiledQuery(sql: string, parameters: readonly unknown[]) {
  const query = Object.freeze({
    kind: 'RawNode',
    sqlFragments: Object.freeze([sql]),
    parameters: Object.freeze([]),
  });
  return Object.freeze({
    sql,
    parameters: Object.freeze([...parameters]),
    query,
    queryId: Object.freeze({ queryId: 'nestjs-taskmaster' }),
  });
}
