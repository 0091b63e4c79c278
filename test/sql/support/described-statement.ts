import pg from 'pg';
import { Deferred } from '../../../lib/engine/lifecycle/deferred.js';

/** What the server makes of a statement without running it. */
export interface DescribedStatement {
  /** The types of its parameters, in order. */
  readonly takes: readonly string[];
  /** The types of its columns by name. */
  readonly gives: Readonly<Record<string, string>>;
}

/**
 * Prepares a statement on the server and asks what it takes and gives. SQL alone cannot tell: `pg_prepared_statements` knows the
 * types of columns from PostgreSQL 16 on, and their names never.
 */
export async function describeStatement(
  client: pg.Client,
  name: string,
  text: string,
): Promise<DescribedStatement> {
  const description = new Description(name, text);
  client.query(description);
  const columns = await description.columns.promise;
  const { rows } = await client.query<{ takes: string[] }>(
    'select parameter_types::text[] as takes from pg_prepared_statements where name = $1',
    [name],
  );
  const types = await client.query<{ type: string }>(
    'select format_type(oid, null) as type from unnest($1::oid[]) with ordinality as given(oid, place) order by place',
    [columns.map((column) => column.dataTypeID)],
  );
  return {
    takes: rows[0]?.takes ?? [],
    gives: Object.fromEntries(columns.map((column, index) => [column.name, types.rows[index]?.type ?? ''])),
  };
}

type Column = Pick<pg.FieldDef, 'name' | 'dataTypeID'>;

/** Parse and Describe of the extended protocol, as a query of `pg` that runs nothing. */
class Description implements pg.Submittable {
  readonly columns = new Deferred<readonly Column[]>();
  #columns: readonly Column[] = [];

  constructor(
    private readonly name: string,
    private readonly text: string,
  ) {}

  submit(connection: pg.Connection): void {
    connection.parse({ name: this.name, text: this.text, types: [] }, true);
    connection.describe({ type: 'S', name: this.name }, true);
    connection.sync();
  }

  /** Called by the client. */
  handleRowDescription({ fields }: { fields: readonly Column[] }): void {
    this.#columns = fields;
  }

  handleReadyForQuery(): void {
    this.columns.resolve(this.#columns);
  }

  handleError(error: Error): void {
    this.columns.reject(error);
  }
}
