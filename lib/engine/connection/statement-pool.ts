import type pg from 'pg';
import { DatabaseUnreachableError } from '../errors.js';
import type { Statement } from '../sql/statement.js';
import type { Tables } from '../sql/tables.js';
import { databaseErrorOf, reasonOf, spoilsConnection } from './pg-errors.js';
import { checkOut, type CheckedOut, type ClientSource } from './pool.js';

/** Options of a {@link StatementPool}. */
export interface StatementPoolOptions {
  readonly pool: ClientSource;
  readonly tables: Tables;
  /** Whether prepared statements may be named on the pool's connections. */
  readonly named: () => boolean;
  /** `host:port/database`, for messages. */
  readonly target: () => string;
  /** Resolves when the database is open. @throws ClosedError when it is closed */
  readonly ready: (operation: string) => Promise<void>;
}

/** Runs single statements on the pool, for calls that people make; each is a transaction of its own. */
export class StatementPool {
  constructor(private readonly options: StatementPoolOptions) {}

  /**
   * @param operation what is being done, for messages: `schedules.list`
   * @throws ClosedError, DatabaseUnreachableError, DatabaseError, PermissionDeniedError
   */
  async run<Args, Row>(operation: string, statement: Statement<Args, Row>, args: Args): Promise<Row[]> {
    await this.options.ready(operation);
    const { client, release } = await this.#checkOut();
    let broken: Error | undefined;
    try {
      return (await client.query(this.#query(statement, args))).rows as Row[];
    } catch (error) {
      if (spoilsConnection(error)) broken = error as Error;
      throw databaseErrorOf(operation, error);
    } finally {
      release(broken);
    }
  }

  async #checkOut(): Promise<CheckedOut> {
    try {
      return await checkOut(this.options.pool);
    } catch (error) {
      throw new DatabaseUnreachableError(this.options.target(), reasonOf(error), { cause: error });
    }
  }

  #query<Args>(statement: Statement<Args, unknown>, args: Args): pg.QueryConfig {
    const { tables, named } = this.options;
    const text = statement.text(tables);
    const values = statement.values(args);
    return named() ? { name: tables.prefix + statement.name, text, values } : { text, values };
  }
}
