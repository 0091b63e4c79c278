import { sql } from 'drizzle-orm';
import { drizzle as onNodePostgres } from 'drizzle-orm/node-postgres';
import { pgTable, serial, text } from 'drizzle-orm/pg-core';
import { drizzle as onPostgresJs } from 'drizzle-orm/postgres-js';
import pg from 'pg';
import postgres from 'postgres';
import { fromDrizzle } from '../../lib/engine/index.js';
import { describeTransactions } from './support/behaviour.js';
import { broken, type Scope } from './support/library.js';

const orders = pgTable('orders', { id: serial('id').primaryKey(), item: text('item').notNull() });

type NodePostgresTransaction = Parameters<Parameters<ReturnType<typeof onNodePostgres>['transaction']>[0]>[0];
type PostgresJsTransaction = Parameters<Parameters<ReturnType<typeof onPostgresJs>['transaction']>[0]>[0];

const onNodePostgresScope = (tx: NodePostgresTransaction): Scope => ({
  tx: fromDrizzle(tx, sql),
  order: (item) => tx.insert(orders).values({ item }),
  breakIt: () => broken(tx.execute(sql`select 1 / 0`)),
  savepoint: (work) => tx.transaction((inner) => work(onNodePostgresScope(inner))),
});

const onPostgresJsScope = (tx: PostgresJsTransaction): Scope => ({
  tx: fromDrizzle(tx, sql),
  order: (item) => tx.insert(orders).values({ item }),
  breakIt: () => broken(tx.execute(sql`select 1 / 0`)),
  savepoint: (work) => tx.transaction((inner) => work(onPostgresJsScope(inner))),
});

describeTransactions('Drizzle on node-postgres', async (url) => {
  const pool = new pg.Pool({ connectionString: url });
  const db = onNodePostgres(pool);
  return {
    transaction: (work) => db.transaction((tx) => work(onNodePostgresScope(tx))),
    close: () => pool.end(),
  };
});

describeTransactions('Drizzle on postgres.js', async (url) => {
  const client = postgres(url, { max: 2 });
  const db = onPostgresJs(client);
  return {
    transaction: (work) => db.transaction((tx) => work(onPostgresJsScope(tx))),
    close: () => client.end(),
  };
});
