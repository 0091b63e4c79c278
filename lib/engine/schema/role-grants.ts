/** What the roles are for; each has a name of its own in the database, see {@link grantsSql}. */
export type RoleName = 'owner' | 'migrator' | 'worker' | 'producer' | 'viewer' | 'auditor';

/** What a role may do with the objects of the schema, as `grant` says it. */
export interface RoleGrants {
  readonly role: RoleName;
  /** For people. */
  readonly purpose: string;
  /** Roles whose rights it has as well. */
  readonly memberOf?: readonly RoleName[];
  /** Rights on tables and views: `select`, or `select (id, state)`; `*` stands for all of them, those of later migrations included. */
  readonly tables?: Readonly<Record<string, string>>;
  readonly sequences?: readonly string[] | '*';
  /** With the types of their arguments. */
  readonly functions?: readonly string[] | '*';
}

/** Of a job everything but what it carries, says, or was said about it: `payload`, errors, `meta` (headers and tags), log, and its unique key. */
const PLAIN_JOB =
  'id, seq, queue_name, priority, created_at, run_at, ready_at, failed_at, batch_id, run_count, crash_count, max_attempts, wait_count, flags, run_alone, group_key, group_slots, aged, expires_at, left_version';
const PLAIN_STATE =
  'id, queue_name, state, run_count, max_attempts, priority, created_at, run_at, failed_at, locked_at, locked_by, crash_count, group_key, expires_at';
const PLAIN_FINISHED =
  'id, queue_name, state, run_count, priority, group_key, batch_id, created_at, finished_at, expires_at, reprocessed_at';
const PLAIN_SCHEDULE =
  'name, queue_name, cron, every_ms, timezone, anchor_at, missed, overlap, owner, code_seen_at, edited_at, next_run_at, last_due_at, last_run_at, last_job_id, paused_at, pause_reason, problem, revision, created_at';
const PLAIN_BATCH = 'id, created_at, finished_at, closed, total, completed, failed, cancelled';

/** Who may do what. The owner is not in here: it owns the schema and what is in it. */
export const ROLE_GRANTS: readonly RoleGrants[] = [
  {
    role: 'migrator',
    purpose: 'runs migrations, as the owner; the only one with DDL',
    memberOf: ['owner'],
  },
  {
    role: 'worker',
    purpose: 'runs jobs, enqueues, and does what the admin does; no DDL, no TRUNCATE',
    tables: { '*': 'select, insert, update, delete' },
    sequences: '*',
    functions: '*',
  },
  {
    role: 'producer',
    purpose: 'enqueues and emits; reads no job, not even its own',
    tables: {
      migrations: 'select',
      jobs: 'insert (queue_name, payload, run_at, priority, max_attempts, meta), select (id)',
      queues: 'select (name, max_pending)',
    },
    sequences: ['jobs_seq'],
    functions: [
      'ring(text)',
      'admit(text, bigint)',
      'enqueue(text, jsonb, jsonb)',
      'enqueue_jobs(json)',
      'enqueue_batch(jsonb, jsonb)',
      'open_batch(jsonb)',
      'close_batch(bigint)',
      'emit(text, jsonb, double precision)',
    ],
  },
  {
    role: 'viewer',
    purpose: 'looks at queues, workers and the states of jobs; sees no payload, error, header or unique key',
    tables: {
      migrations: 'select',
      jobs: `select (${PLAIN_JOB})`,
      job_states: `select (${PLAIN_STATE})`,
      finished: `select (${PLAIN_FINISHED})`,
      finished_jobs: `select (${PLAIN_FINISHED})`,
      schedules: `select (${PLAIN_SCHEDULE})`,
      batches: `select (${PLAIN_BATCH})`,
      running: 'select',
      queues: 'select',
      lanes: 'select',
      leases: 'select',
      workers: 'select',
    },
    functions: ['known_queues(text, integer)', 'workers_of(text)'],
  },
  {
    role: 'auditor',
    purpose: 'sees all that is stored, payloads included; changes nothing',
    memberOf: ['viewer'],
    tables: { '*': 'select' },
    functions: ['job_facts(bigint)', 'explain(bigint)', 'parents_of(bigint)'],
  },
];
