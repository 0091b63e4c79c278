import type pg from 'pg';
import type { ClaimedJob } from '../../../lib/engine/job/job.js';
import type { Statement } from '../../../lib/engine/sql/statement.js';
import { tablesOf } from '../../../lib/engine/sql/tables.js';
import { claimedJobsOf, type LeaseRow } from '../../../lib/engine/worker/claimed-jobs.js';

/** Runs one of the engine's own statements. */
export type RunStatement = <Args, Row>(statement: Statement<Args, Row>, args: Args) => Promise<Row[]>;

/** Runs the engine's own statements on a connection of the test. */
export function statementRunner(client: pg.ClientBase, schema: string): RunStatement {
  const tables = tablesOf(schema);
  return async <Args, Row>(statement: Statement<Args, Row>, args: Args) => {
    const { rows } = await client.query({ text: statement.text(tables), values: statement.values(args) });
    return rows as Row[];
  };
}

/** The jobs that a claim or a sweep took. */
export function jobsOf(rows: readonly LeaseRow[]): ClaimedJob[] {
  return rows.flatMap((row) => claimedJobsOf(row));
}
