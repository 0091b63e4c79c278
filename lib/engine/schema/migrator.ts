import type pg from 'pg';
import { SchemaBehindError, SchemaTooNewError } from '../errors.js';
import { type Tables, tablesOf } from '../sql/tables.js';
import { MIGRATIONS } from './migrations.generated.js';

/** One step of the schema. Applied once, in order, never edited after its release. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** Releases that do not know it cannot work with the schema any more. */
  readonly breaking: boolean;
  /** `{{schema}}` stands for the quoted schema, `{{channel}}` for its notification channel. */
  readonly sql: string;
}

interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly breaking: boolean;
}

/** First key of the advisory lock that serialises migrations; the second is the hash of the schema's name. */
const MIGRATION_LOCK = 1413830741;

/** Brings a schema to the version this release needs, or says why it is not there. */
export class Migrator {
  readonly #tables: Tables;

  constructor(
    private readonly schema: string,
    private readonly migrations: readonly Migration[] = MIGRATIONS,
  ) {
    this.#tables = tablesOf(schema);
  }

  /** The version this release needs. */
  get target(): number {
    return this.migrations.at(-1)?.version ?? 0;
  }

  /**
   * Applies what is missing, all or nothing. Any number of processes may call it at once: a transaction-scoped
   * advisory lock (safe behind poolers) lets one work while the others wait, and find nothing left to do.
   *
   * @returns the versions applied by this call
   * @throws SchemaTooNewError when a newer release has made a breaking change
   */
  async run(client: pg.ClientBase): Promise<readonly number[]> {
    if (this.#missing(await this.#applied(client)).length === 0) return [];
    await client.query('begin');
    try {
      await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [MIGRATION_LOCK, this.schema]);
      await this.#becomeOwner(client);
      const missing = this.#missing(await this.#applied(client));
      if (missing.length > 0) await this.#prepareSchema(client);
      for (const migration of missing) await this.#apply(client, migration);
      await client.query('commit');
      return missing.map((migration) => migration.version);
    } catch (error) {
      await client.query('rollback').catch(() => {}); // the first error is the one to report
      throw error;
    }
  }

  /** @throws SchemaBehindError or SchemaTooNewError when this release cannot work with the schema as it is */
  async verify(client: pg.ClientBase): Promise<void> {
    const applied = await this.#applied(client);
    if (this.#missing(applied).length > 0) {
      throw new SchemaBehindError(
        this.schema,
        Math.max(0, ...applied.map((migration) => migration.version)),
        this.target,
      );
    }
  }

  #missing(applied: readonly AppliedMigration[]): readonly Migration[] {
    const known = new Set(this.migrations.map((migration) => migration.version));
    const alien = applied.find((migration) => migration.breaking && !known.has(migration.version));
    if (alien !== undefined) throw new SchemaTooNewError(this.schema, alien.version, alien.name);
    const done = new Set(applied.map((migration) => migration.version));
    return this.migrations.filter((migration) => !done.has(migration.version));
  }

  /**
   * Asks the catalogs by a query: `to_regclass` may answer from the session's cache, and what that learned before the wait for the
   * lock (that there is no schema) is not corrected until a lock on a table makes the session look.
   */
  async #applied(client: pg.ClientBase): Promise<readonly AppliedMigration[]> {
    const { rowCount } = await client.query(
      `select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = 'migrations'`,
      [this.schema],
    );
    if (rowCount === 0) return [];
    const { rows } = await client.query<AppliedMigration>(
      `select version, name, breaking from ${this.#tables.migrations} order by version`,
    );
    return rows;
  }

  /**
   * What a migration makes belongs to whoever owns what is there, or the schema while it is empty: the next one may be run by another member of
   * that role. Until the end of the transaction.
   */
  async #becomeOwner(client: pg.ClientBase): Promise<void> {
    await client.query(
      `select pg_catalog.set_config('role', owner.rolname, true)
         from pg_catalog.pg_namespace as n
         left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'migrations'
         join pg_catalog.pg_roles as owner on owner.oid = coalesce(c.relowner, n.nspowner)
        where n.nspname = $1 and owner.rolname <> current_user and pg_catalog.pg_has_role(owner.oid, 'member')`,
      [this.schema],
    );
  }

  /** `create schema if not exists` asks for the privilege even when the schema exists, so look first. */
  async #prepareSchema(client: pg.ClientBase): Promise<void> {
    const { rowCount } = await client.query('select from pg_catalog.pg_namespace where nspname = $1', [
      this.schema,
    ]);
    if (rowCount === 0) await client.query(`create schema ${this.#tables.schema}`);
    await client.query(`
      create table if not exists ${this.#tables.migrations} (
        version integer primary key,
        name text not null,
        breaking boolean not null,
        applied_at timestamptz not null default now()
      )`);
  }

  async #apply(client: pg.ClientBase, migration: Migration): Promise<void> {
    await client.query(this.#render(migration.sql));
    await client.query(
      `insert into ${this.#tables.migrations} (version, name, breaking) values ($1, $2, $3)`,
      [migration.version, migration.name, migration.breaking],
    );
  }

  #render(sql: string): string {
    return sql
      .replaceAll('{{schema}}', () => this.#tables.schema)
      .replaceAll('{{channel}}', () => this.#tables.channel);
  }
}
