/**
 * What a statement can be run on: a `pg` client or pool client, a TypeORM `QueryRunner` or `EntityManager`, or
 * anything with their `query(text, values)`, which answers with rows or with `{ rows }`.
 */
export interface SqlExecutor {
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape drivers and ORMs share, and no more
  query(text: string, values?: any[]): Promise<any>;
}

/** A transaction of the caller: `enqueue(..., { tx })` writes through it, and never commits or rolls it back. */
export type Transaction = SqlExecutor;
