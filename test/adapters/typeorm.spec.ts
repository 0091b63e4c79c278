import { DataSource, type EntityManager } from 'typeorm';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

/** No adapter: an entity manager and a query runner have `query(text, values)`. */
const scopeOf = (manager: EntityManager): Scope => ({
  tx: manager,
  order: (item) => manager.query('insert into orders (item) values ($1)', [item]),
  breakIt: () => broken(manager.query('select 1 / 0')),
  savepoint: (work) => manager.transaction((inner) => work(scopeOf(inner))),
});

const open = async (url: string) => new DataSource({ type: 'postgres', url }).initialize();

describeTransactions("TypeORM's entity manager", async (url) => {
  const source = await open(url);
  return {
    transaction: (work) => source.transaction((manager) => work(scopeOf(manager))),
    close: () => source.destroy(),
  };
});

describeTransactions("TypeORM's query runner", async (url) => {
  const source = await open(url);
  return {
    transaction: async (work) => {
      const runner = source.createQueryRunner();
      await runner.startTransaction();
      try {
        const result = await work({ ...scopeOf(runner.manager), tx: runner });
        await runner.commitTransaction();
        return result;
      } catch (error) {
        await runner.rollbackTransaction();
        throw error;
      } finally {
        await runner.release();
      }
    },
    close: () => source.destroy(),
  };
});
