import type pg from 'pg';
import type { ClaimedJob } from '../../../lib/engine/job/job.js';
import type { ClaimedRow } from '../../../lib/engine/sql/claimed-row.js';
import { queryOf, type Statement } from '../../../lib/engine/sql/statement.js';
import { tablesOf } from '../../../lib/engine/sql/tables.js';
import { leasesOf } from '../../../lib/engine/worker/claimed-jobs.js';

/** Runs one of the engine's own statements. */
export type RunStatement = <Args, Row>(statement: Statement<Args, Row>, args: Args) => Promise<Row[]>;

/** Runs the engine's own statements on a connection of the test. */
export function statementRunner(client: pg.ClientBase, schema: string): RunStatement {
  const tables = tablesOf(schema);
  return async <Args, Row>(statement: Statement<Args, Row>, args: Args) => {
    const { rows } = await client.query(queryOf(statement, tables, args));
    return rows as Row[];
  };
}

/** The jobs that a claim or a sweep took. */
export function jobsOf(rows: readonly ClaimedRow[]): ClaimedJob[] {
  return leasesOf(rows).flatMap((lease) => lease.jobs);
}
