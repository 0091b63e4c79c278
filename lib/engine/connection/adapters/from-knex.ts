import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';
import { withQuestionMarks } from './placeholders.js';

/** What is needed of Knex's transaction. */
export interface KnexTransaction {
  // oxlint-disable-next-line typescript/no-explicit-any -- Knex declares its bindings and its answer by types of its own
  raw(sql: string, bindings: any): PromiseLike<any>;
}

/**
 * A transaction of Knex on PostgreSQL: what `knex.transaction(async (trx) => ...)` hands to its function.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromKnex(trx: KnexTransaction): Transaction {
  assertHasMethod('fromKnex', trx, 'raw', "Knex's transaction");
  return { query: async (text, values) => trx.raw(...withQuestionMarks(text, values)) };
}
