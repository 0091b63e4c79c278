import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';

/** What is needed of an instance of Sequelize. */
export interface SequelizeInstance {
  // oxlint-disable-next-line typescript/no-explicit-any -- Sequelize declares its options and answers by overloads of its own
  query(sql: string, options: any): Promise<any>;
}

/** What is needed of a transaction of Sequelize. */
export interface SequelizeTransaction {
  commit(): Promise<unknown>;
}

/**
 * A transaction of Sequelize on PostgreSQL: what `sequelize.transaction(async (transaction) => ...)` hands to its function, with the
 * instance that it is of.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromSequelize(sequelize: SequelizeInstance, transaction: SequelizeTransaction): Transaction {
  assertHasMethod('fromSequelize', sequelize, 'query', 'an instance of Sequelize');
  assertHasMethod('fromSequelize', transaction, 'commit', 'its transaction as the second argument');
  return {
    query: async (text, values = []) => {
      const [rows] = await sequelize.query(text, { bind: [...values], transaction, raw: true });
      return rows;
    },
  };
}
