import { type ControlledTransaction, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { fromKysely } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

interface Tables {
  readonly orders: { readonly item: string };
}

const scopeOf = (trx: ControlledTransaction<Tables>): Scope => ({
  tx: fromKysely(trx),
  order: (item) => trx.insertInto('orders').values({ item }).execute(),
  breakIt: () => broken(sql`select 1 / 0`.execute(trx)),
  savepoint: async (work) => {
    const saved = await trx.savepoint('inner').execute();
    try {
      return await work(scopeOf(trx));
    } catch (error) {
      await saved.rollbackToSavepoint('inner').execute();
      throw error;
    }
  },
});

describeTransactions('Kysely', async (url) => {
  const db = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  });
  return {
    transaction: async (work) => {
      const trx = await db.startTransaction().execute();
      try {
        const result = await work(scopeOf(trx));
        await trx.commit().execute();
        return result;
      } catch (error) {
        await trx.rollback().execute();
        throw error;
      }
    },
    close: () => db.destroy(),
  };
});

describeTransactions("Kysely's function", async (url) => {
  const db = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  });
  return {
    transaction: (work) =>
      db.transaction().execute((trx) =>
        work({
          tx: fromKysely(trx),
          order: (item) => trx.insertInto('orders').values({ item }).execute(),
          breakIt: () => broken(sql`select 1 / 0`.execute(trx)),
          savepoint: async (inner) => {
            await sql`savepoint inside`.execute(trx);
            try {
              return await inner({ tx: fromKysely(trx) });
            } catch (error) {
              await sql`rollback to savepoint inside`.execute(trx);
              throw error;
            }
          },
        }),
      ),
    close: () => db.destroy(),
  };
});
