import { statement } from './statement.js';

/** Facts about the database, as JSON text of a {@link SystemJson}. */
export interface SystemRow {
  readonly system: string;
}

/** Times in ISO 8601. */
export interface SystemJson {
  readonly server: string;
  readonly database: string;
  readonly now: string;
  readonly migrations: readonly {
    readonly version: number;
    readonly name: string;
    readonly appliedAt: string;
  }[];
  readonly tables: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly indexBytes: number;
    readonly rows: number;
    readonly deadRows: number;
    readonly vacuumedAt: string | null;
  }[];
  readonly connections: number;
  readonly maxConnections: number;
  /** Age of the oldest transaction of the database, in milliseconds. */
  readonly oldestTransactionMs: number | null;
  readonly oldestTransaction: string | null;
  /** Share of the queue of notifications that is full, 0 to 1. */
  readonly notifyUsage: number;
}

/** What the database says about itself and the schema. */
export const readSystem = statement<{ readonly schema: string }, SystemRow>({
  name: 'read_system',
  text: ({ migrations }) => `select json_build_object(
             'server', current_setting('server_version'), 'database', current_database(), 'now', now(),
             'migrations', (select coalesce(json_agg(json_build_object('version', m.version, 'name', m.name, 'appliedAt', m.applied_at) order by m.version), '[]') from ${migrations} as m),
             'tables', (select coalesce(json_agg(json_build_object('name', t.relname, 'bytes', pg_table_size(t.relid), 'indexBytes', pg_indexes_size(t.relid),
                                'rows', greatest(0, c.reltuples)::bigint, 'deadRows', t.n_dead_tup, 'vacuumedAt', greatest(t.last_autovacuum, t.last_vacuum))
                                order by pg_total_relation_size(t.relid) desc, t.relname), '[]')
                          from pg_stat_user_tables as t join pg_class as c on c.oid = t.relid where t.schemaname = $1::text),
             'connections', (select count(*) from pg_stat_activity where datname = current_database()),
             'maxConnections', current_setting('max_connections')::integer,
             'oldestTransactionMs', (select max(extract(epoch from now() - a.xact_start) * 1000) from pg_stat_activity as a
                                      where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'),
             'oldestTransaction', (select concat_ws(', ', nullif(a.application_name, ''), a.state) from pg_stat_activity as a
                                    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend' and a.xact_start is not null
                                    order by a.xact_start limit 1),
             'notifyUsage', pg_notification_queue_usage())::text as system`,
  values: (args) => [args.schema],
});
