import postgres, { type TransactionSql } from 'postgres';
import { fromPostgresJs } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

const scopeOf = (sql: TransactionSql): Scope => ({
  tx: fromPostgresJs(sql),
  order: (item) => sql`insert into orders (item) values (${item})`.then(() => undefined),
  breakIt: () => broken(sql`select 1 / 0`),
  savepoint: async (work) =>
    (await sql.savepoint((inner) => work(scopeOf(inner)))) as Awaited<ReturnType<typeof work>>,
});

describeTransactions('postgres.js', async (url) => {
  const sql = postgres(url, { max: 2 });
  return {
    transaction: async (work) =>
      (await sql.begin((inner) => work(scopeOf(inner)))) as Awaited<ReturnType<typeof work>>,
    close: () => sql.end(),
  };
});
