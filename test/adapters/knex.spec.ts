import knex, { type Knex } from 'knex';
import { fromKnex } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

const scopeOf = (trx: Knex.Transaction): Scope => ({
  tx: fromKnex(trx),
  order: (item) =>
    trx('orders')
      .insert({ item })
      .then(() => undefined),
  breakIt: () => broken(trx.raw('select 1 / 0')),
  savepoint: (work) => trx.transaction((inner) => work(scopeOf(inner))),
});

describeTransactions('Knex', async (url) => {
  const db = knex({ client: 'pg', connection: url, pool: { min: 0, max: 2 } });
  return {
    transaction: (work) => db.transaction((trx) => work(scopeOf(trx))),
    close: () => db.destroy(),
  };
});
