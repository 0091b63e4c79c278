import { EntitySchema, MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql';
import { fromMikroOrm } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

const Order = new EntitySchema<{ id?: number; item: string }>({
  name: 'Order',
  tableName: 'orders',
  properties: { id: { type: 'integer', primary: true }, item: { type: 'text' } },
});

const scopeOf = (em: SqlEntityManager): Scope => ({
  tx: fromMikroOrm(em),
  order: async (item) => {
    em.create(Order, { item });
    await em.flush();
  },
  breakIt: () => broken(em.execute('select 1 / 0')),
  savepoint: (work) => em.transactional((inner) => work(scopeOf(inner))),
});

describeTransactions('MikroORM', async (url) => {
  const orm = await MikroORM.init({ entities: [Order], clientUrl: url });
  return {
    transaction: (work) => orm.em.fork().transactional((em) => work(scopeOf(em))),
    close: () => orm.close(true),
  };
});
