import type { StatementPool } from '../connection/statement-pool.js';
import { readSystem, type SystemJson } from '../sql/read-system.js';

/** A table of the schema. */
export interface TableRecord {
  readonly name: string;
  readonly bytes: number;
  readonly indexBytes: number;
  /** As the statistics of the database estimate it. */
  readonly rows: number;
  readonly deadRows: number;
  readonly vacuumedAt: Date | undefined;
}

/** What the database says about itself and the schema. */
export interface SystemRecord {
  /** Version of PostgreSQL. */
  readonly server: string;
  readonly database: string;
  readonly now: Date;
  readonly migrations: readonly {
    readonly version: number;
    readonly name: string;
    readonly appliedAt: Date;
  }[];
  /** The largest first. */
  readonly tables: readonly TableRecord[];
  readonly connections: number;
  readonly maxConnections: number;
  /** For how long the oldest transaction of the database is open, in milliseconds: vacuum cannot remove what it may still see. */
  readonly oldestTransactionMs: number | undefined;
  /** Whose it is. */
  readonly oldestTransaction: string | undefined;
  /** Share of the server's queue of notifications that is full, 0 to 1. */
  readonly notifyUsage: number;
}

/** The database and the schema: to look at. */
export class SystemAdmin {
  constructor(private readonly options: { readonly statements: StatementPool; readonly schema: string }) {}

  async get(): Promise<SystemRecord> {
    const { statements, schema } = this.options;
    const [row] = await statements.run('system.get', readSystem, { schema });
    return systemOf(JSON.parse(row?.system ?? '{}') as SystemJson);
  }
}

function systemOf(json: SystemJson): SystemRecord {
  return {
    ...json,
    now: new Date(json.now),
    migrations: json.migrations.map((each) => ({ ...each, appliedAt: new Date(each.appliedAt) })),
    tables: json.tables.map((table) => ({
      ...table,
      vacuumedAt: table.vacuumedAt === null ? undefined : new Date(table.vacuumedAt),
    })),
    oldestTransactionMs: json.oldestTransactionMs ?? undefined,
    oldestTransaction: json.oldestTransaction || undefined,
  };
}
