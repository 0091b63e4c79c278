import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';
import { withQuestionMarks } from './placeholders.js';

/** What is needed of MikroORM's entity manager for SQL databases. */
export interface MikroOrmEntityManager {
  // oxlint-disable-next-line typescript/no-explicit-any -- MikroORM declares its query by types of its own
  execute(query: any, params?: any[]): Promise<any>;
}

/**
 * The transaction that an entity manager of MikroORM (`@mikro-orm/postgresql`) is in: what `em.transactional(async (em) => ...)` hands to its
 * function, or one after `em.begin()`.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromMikroOrm(em: MikroOrmEntityManager): Transaction {
  assertHasMethod('fromMikroOrm', em, 'execute', "MikroORM's entity manager for SQL");
  return { query: async (text, values) => em.execute(...withQuestionMarks(text, values)) };
}
