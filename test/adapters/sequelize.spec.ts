import { Sequelize, type Transaction } from 'sequelize';
import { fromSequelize } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

const scopeOf = (sequelize: Sequelize, transaction: Transaction): Scope => ({
  tx: fromSequelize(sequelize, transaction),
  order: (item) => sequelize.query('insert into orders (item) values ($1)', { bind: [item], transaction }),
  breakIt: () => broken(sequelize.query('select 1 / 0', { transaction })),
  savepoint: (work) => sequelize.transaction({ transaction }, (inner) => work(scopeOf(sequelize, inner))),
});

describeTransactions('Sequelize', async (url) => {
  const sequelize = new Sequelize(url, { logging: false, pool: { max: 2 } });
  return {
    transaction: (work) => sequelize.transaction((transaction) => work(scopeOf(sequelize, transaction))),
    close: () => sequelize.close(),
  };
});
