import { createHash } from 'node:crypto';

/**
 * The names of a schema's objects, quoted and qualified, as statements write them: the only place where an
 * identifier becomes SQL. Everything else in a statement is a `$n`.
 */
export interface Tables {
  /** The quoted schema. */
  readonly schema: string;
  readonly jobs: string;
  /** The sequence of the ready order, as a string literal for `nextval`. */
  readonly jobsSeq: string;
  readonly lanes: string;
  readonly leases: string;
  readonly workers: string;
  readonly queues: string;
  readonly finished: string;
  readonly effects: string;
  readonly batches: string;
  readonly uniqueKeys: string;
  readonly starts: string;
  readonly schedules: string;
  readonly scheduleJobs: string;
  readonly steps: string;
  readonly emitted: string;
  readonly watchedEvents: string;
  readonly stats: string;
  readonly snapshot: string;
  readonly operations: string;
  readonly auditLog: string;
  readonly migrations: string;
  /** The one notification channel of the schema: `tm_` and 16 hex digits. */
  readonly channel: string;
  /** Prefix of prepared statement names: connections may serve several schemas. */
  readonly prefix: string;
}

const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,47}$/;

/** True for names that may be the schema: they need no escaping inside double quotes or single quotes. */
export function isSchemaName(name: string): boolean {
  return SCHEMA_NAME.test(name);
}

/** @throws TypeError for a name that {@link isSchemaName} refuses; options are checked before, so this is a guard */
export function tablesOf(schema: string): Tables {
  if (!isSchemaName(schema)) throw new TypeError(`not a schema name: ${JSON.stringify(schema)}`);
  const digest = createHash('sha256').update(schema).digest('hex');
  const table = (name: string) => `"${schema}".${name}`;
  return Object.freeze({
    schema: `"${schema}"`,
    jobs: table('jobs'),
    jobsSeq: `'"${schema}".jobs_seq'`,
    lanes: table('lanes'),
    leases: table('leases'),
    workers: table('workers'),
    queues: table('queues'),
    finished: table('finished'),
    effects: table('effects'),
    batches: table('batches'),
    uniqueKeys: table('unique_keys'),
    starts: table('starts'),
    schedules: table('schedules'),
    scheduleJobs: table('schedule_jobs'),
    steps: table('steps'),
    emitted: table('emitted'),
    watchedEvents: table('watched_events'),
    stats: table('stats'),
    snapshot: table('snapshot'),
    operations: table('operations'),
    auditLog: table('audit_log'),
    migrations: table('migrations'),
    channel: `tm_${digest.slice(0, 16)}`,
    prefix: `tm_${digest.slice(0, 8)}_`,
  });
}
