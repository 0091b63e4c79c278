import { Injectable } from '@nestjs/common';
import { InjectTaskmasterPool } from 'nestjs-taskmaster';
import type pg from 'pg';
import { Settings } from '../settings.js';

/** Which PostgreSQL is used, for people. */
@Injectable()
export class ServerInfo {
  constructor(
    private readonly settings: Settings,
    @InjectTaskmasterPool() private readonly pool: pg.Pool,
  ) {}

  /** `PostgreSQL 18.4, embedded, data in .data/postgres`. */
  async summary(): Promise<string> {
    const { rows } = await this.pool.query<{ version: string; database: string }>(
      `select current_setting('server_version') as version, current_database() as database`,
    );
    const { version, database } = rows[0]!;
    const where = this.settings.embeddedDataDir === undefined ? `database "${database}"` : 'embedded';
    return `PostgreSQL ${version}, ${where}`;
  }

  /**
   * What `psql` is to be given, for a shell. A URL of the user's holds their password and is not shown; the embedded
   * server's was drawn at random for its data folder, and opens nothing but a port of this machine.
   */
  async connectionString(): Promise<string> {
    if (this.settings.embeddedDataDir === undefined) return '"$DATABASE_URL"';
    const client = await this.pool.connect();
    client.release();
    const { user, password, host, port, database } = client;
    return `postgres://${user}:${password}@${host}:${port}/${database}`;
  }
}
