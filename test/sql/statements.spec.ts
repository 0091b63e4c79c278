import { describe, expect, it } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { testDatabase } from '../support/test-database.js';
import { allStatements } from './support/all-statements.js';
import { describeStatement, type DescribedStatement } from './support/described-statement.js';

const CLAIM = {
  lease_id: 'bigint',
  queue_name: 'text',
  priority: 'smallint',
  jobs: 'text',
  skipped: 'integer',
  limited: 'text[]',
  grouped: 'text[]',
};

/** The conditions of a search for jobs. */
const MATCH = [
  'text[]',
  'bigint[]',
  'text',
  'text',
  'timestamp with time zone',
  'timestamp with time zone',
  'double precision',
  'jsonb',
  'text',
  'timestamp with time zone',
  'timestamp with time zone',
  'text',
  'text',
  'text',
  'text',
  'integer',
  'integer',
  'jsonb',
];
const FIND = { takes: [...MATCH, 'bigint', 'bigint', 'bigint'], gives: { id: 'text', seq: 'text' } };
const COUNT = { takes: FIND.takes, gives: { count: 'bigint', ids: 'text[]' } };

/** What every statement takes and gives; the types of its arguments and rows say the same in TypeScript. */
const EXPECTED: Readonly<Record<string, DescribedStatement>> = {
  ack_and_claim_jobs: {
    takes: ['bigint[]', 'bigint[]', 'bigint[]', 'integer', 'text[]', 'integer[]'],
    gives: { ...CLAIM, acked: 'text[]', outcome: 'text' },
  },
  ack_jobs: { takes: ['bigint[]', 'bigint[]', 'bigint[]'], gives: { acked: 'text[]', outcome: 'text' } },
  ack_locked_job: {
    takes: ['bigint', 'bigint', 'text', 'double precision'],
    gives: { id: 'bigint', outcome: 'text' },
  },
  age_jobs: { takes: ['integer'], gives: { lifted: 'integer' } },
  alone_waiting: { takes: ['text[]'], gives: { waiting: 'boolean' } },
  apply_effects: { takes: ['integer'], gives: { applied: 'integer' } },
  arm_bells: { takes: ['text[]'], gives: { pg_advisory_lock_shared: 'void' } },
  await_results: { takes: ['bigint[]'], gives: {} },
  begin_wait: {
    takes: ['bigint', 'bigint', 'text', 'text', 'integer', 'text', 'double precision'],
    gives: { finished: 'boolean', result: 'text' },
  },
  cancel_jobs: { takes: ['bigint[]'], gives: { id: 'text', outcome: 'text' } },
  cancelled_jobs: { takes: ['integer'], gives: { id: 'bigint' } },
  claim_alone: {
    takes: ['integer', 'text[]'],
    gives: { lease_id: 'bigint', queue_name: 'text', priority: 'smallint', jobs: 'text' },
  },
  claim_jobs: { takes: ['integer', 'text[]', 'integer[]'], gives: { ...CLAIM, relaxed: 'text' } },
  claim_limited: {
    takes: ['integer', 'text[]', 'integer[]', 'integer[]'],
    gives: {
      lease_id: 'bigint',
      queue_name: 'text',
      priority: 'smallint',
      jobs: 'text',
      wait_ms: 'double precision',
      relaxed: 'text',
    },
  },
  close_batch: { takes: ['text'], gives: { closed: 'boolean' } },
  confirm_schedules: { takes: ['text[]', 'text[]'], gives: { name: 'text' } },
  count_dead_letters: COUNT,
  count_failed_jobs: COUNT,
  count_kept_jobs: { takes: [...COUNT.takes, 'text[]', 'boolean'], gives: COUNT.gives },
  count_live_jobs: { takes: [...COUNT.takes, 'text[]'], gives: COUNT.gives },
  count_scheduled_jobs: COUNT,
  count_waiting_jobs: COUNT,
  database_clock: { takes: [], gives: { now: 'text' } },
  define_schedules: { takes: ['json', 'text[]'], gives: { name: 'text' } },
  delete_schedule: { takes: ['text'], gives: { name: 'text' } },
  deliver_events: {
    takes: ['integer'],
    gives: { delivered: 'integer', ended: 'integer', held: 'integer', queues: 'text[]' },
  },
  describe_worker: { takes: ['integer', 'jsonb'], gives: {} },
  disarm_bells: { takes: ['text[]'], gives: { pg_advisory_unlock_shared: 'boolean' } },
  drain_worker: { takes: ['integer'], gives: {} },
  due_schedules: { takes: ['integer'], gives: { facts: 'text' } },
  emit_event: { takes: ['json'], gives: { emitted: 'boolean' } },
  enqueue_jobs: { takes: ['jsonb'], gives: { id: 'bigint' } },
  enqueue_rules: { takes: ['json'], gives: { id: 'bigint', deduplicated: 'boolean' } },
  expire_jobs: { takes: ['integer'], gives: { id: 'bigint', queue_name: 'text', run_count: 'integer' } },
  explain_job: { takes: ['bigint'], gives: { facts: 'text' } },
  find_dead_letters: FIND,
  find_failed_jobs: FIND,
  find_kept_jobs: { takes: [...FIND.takes, 'text[]', 'boolean'], gives: FIND.gives },
  find_live_jobs: { takes: [...FIND.takes, 'text[]'], gives: FIND.gives },
  find_scheduled_jobs: FIND,
  find_waiting_jobs: FIND,
  finish_jobs: {
    takes: ['text', 'bigint[]', 'bigint[]', 'text[]', 'double precision[]', 'bigint[]'],
    gives: { id: 'bigint', outcome: 'text' },
  },
  fire_schedules: {
    takes: ['json'],
    gives: { schedule: 'text', queue: 'text', due: 'text', job: 'text' },
  },
  get_schedule: { takes: ['text'], gives: { schedule: 'text' } },
  heartbeat: {
    takes: ['integer', 'double precision'],
    gives: { now_ms: 'double precision', orders: 'integer', workers: 'integer', relaxed: 'text' },
  },
  hold_queues: { takes: ['text[]', 'double precision[]'], gives: {} },
  hold_unique: { takes: ['json'], gives: { id: 'bigint', payload: 'text', version: 'integer' } },
  job_results: { takes: ['bigint[]'], gives: { id: 'bigint', state: 'text', result: 'text', error: 'text' } },
  leave_job: { takes: ['bigint', 'bigint', 'integer'], gives: { left: 'boolean' } },
  list_jobs: { takes: [...MATCH, 'text[]', 'bigint', 'bigint', 'bigint'], gives: { job: 'text' } },
  list_leases: { takes: ['integer'], gives: { id: 'bigint', settled: 'boolean' } },
  list_queues: { takes: ['text', 'integer'], gives: { queue: 'text' } },
  list_schedules: { takes: ['text', 'text', 'integer'], gives: { schedule: 'text' } },
  list_workers: { takes: ['text', 'integer', 'integer'], gives: { worker: 'text' } },
  live_watchers: { takes: [], gives: { queues: 'text[]', job_ids: 'text[]', types: 'text[]' } },
  load_steps: { takes: ['bigint'], gives: { kind: 'text', name: 'text', nth: 'integer', result: 'text' } },
  lock_job: { takes: ['bigint', 'bigint'], gives: { id: 'bigint' } },
  newest_job: { takes: [], gives: { id: 'text' } },
  newest_kept_job: { takes: [], gives: { id: 'text' } },
  next_due: { takes: [], gives: { in_ms: 'double precision' } },
  next_schedule: { takes: [], gives: { in_ms: 'double precision', waiting: 'boolean' } },
  note_jobs: { takes: ['json'], gives: {} },
  notify_channel: { takes: ['text', 'text'], gives: { pg_notify: 'void' } },
  order_worker: { takes: ['integer', 'integer'], gives: { told: 'boolean' } },
  open_batch: { takes: ['jsonb'], gives: { id: 'text' } },
  open_lanes: { takes: ['text[]'], gives: {} },
  parents_of: {
    takes: ['bigint'],
    gives: { id: 'bigint', queue: 'text', outcome: 'text', result: 'text' },
  },
  park_job: { takes: ['bigint', 'bigint'], gives: { queue: 'text', in_ms: 'double precision' } },
  pause_queue: {
    takes: ['text', 'timestamp with time zone', 'double precision', 'text', 'text'],
    gives: { pause: 'void' },
  },
  pause_schedule: { takes: ['text', 'text'], gives: { schedule: 'text' } },
  promote_jobs: { takes: ['integer'], gives: { queue_name: 'text', count: 'integer', rung: 'bigint' } },
  prune: { takes: ['integer'], gives: { problem: 'text' } },
  queue_size: { takes: ['text', 'integer'], gives: { counts: 'text' } },
  queue_stats: { takes: ['text', 'integer'], gives: { queue: 'text' } },
  read_batch: {
    takes: ['bigint'],
    gives: {
      id: 'text',
      created_at: 'timestamp with time zone',
      finished_at: 'timestamp with time zone',
      closed: 'boolean',
      total: 'integer',
      completed: 'integer',
      failed: 'integer',
      cancelled: 'integer',
    },
  },
  read_events: {
    takes: ['bigint', 'text[]', 'bigint[]', 'text[]', 'bigint'],
    gives: { id: 'text', type: 'text', event: 'jsonb' },
  },
  read_jobs: { takes: ['bigint[]'], gives: { job: 'text' } },
  record_events: { takes: ['json'], gives: { recorded: 'boolean' } },
  redrive_jobs: { takes: ['bigint[]', 'text[]'], gives: { id: 'text', new_id: 'text', queue_name: 'text' } },
  register_worker: {
    takes: ['text', 'text', 'integer', 'double precision', 'text', 'jsonb', 'integer'],
    gives: { id: 'integer' },
  },
  release_leases: { takes: ['bigint[]'], gives: { id: 'bigint', queue_name: 'text', rung: 'bigint' } },
  release_schedule_jobs: { takes: [], gives: { queue: 'text' } },
  remove_job: { takes: ['bigint'], gives: { removed: 'boolean' } },
  remove_jobs: { takes: ['bigint[]'], gives: { id: 'text' } },
  reprocess_jobs: {
    takes: ['bigint[]', 'text[]', 'boolean'],
    gives: { id: 'text', new_id: 'text', queue_name: 'text' },
  },
  requeue_jobs: {
    takes: ['bigint[]', 'bigint[]', 'text[]', 'double precision', 'text'],
    gives: { id: 'text', queue_name: 'text', rung: 'bigint' },
  },
  reschedule_jobs: {
    takes: ['bigint[]', 'bigint[]', 'double precision[]', 'boolean[]', 'text[]', 'bigint[]', 'integer'],
    gives: { id: 'bigint', expired: 'boolean', rung: 'bigint' },
  },
  rescue_jobs: {
    takes: ['integer', 'integer'],
    gives: { id: 'bigint', queue_name: 'text', run_count: 'integer', failed: 'boolean', rung: 'bigint' },
  },
  resume_queue: { takes: ['text'], gives: { resumed: 'boolean' } },
  resume_schedule: { takes: ['text'], gives: { schedule: 'text' } },
  retry_jobs: { takes: ['bigint[]', 'bigint[]'], gives: { id: 'text', queue_name: 'text' } },
  server_condition: {
    takes: ['text[]'],
    gives: { usage: 'double precision', now_ms: 'double precision', abandoned: 'boolean', alone: 'boolean' },
  },
  set_max_pending: { takes: ['text', 'integer'], gives: { set_max_pending: 'void' } },
  store_schedule: { takes: ['json'], gives: { schedule: 'text' } },
  store_step: { takes: ['bigint', 'bigint', 'text', 'jsonb'], gives: { id: 'bigint' } },
  sweep_jobs: {
    takes: ['integer', 'text[]', 'integer[]', 'boolean'],
    gives: {
      lease_id: 'bigint',
      queue_name: 'text',
      priority: 'smallint',
      jobs: 'text',
      unclean: 'integer',
      relaxed: 'text',
    },
  },
  sync_queues: { takes: ['json'], gives: {} },
  take_up: { takes: ['text[]', 'integer[]', 'integer'], gives: { queue: 'text' } },
  trigger_schedule: { takes: ['text'], gives: { job: 'text', queue: 'text', now: 'text' } },
  unregister_worker: { takes: ['integer'], gives: {} },
  begin_operation: { takes: ['text', 'jsonb', 'text', 'bigint'], gives: { id: 'text' } },
  begin_snapshot: { takes: ['double precision'], gives: { begun: 'boolean' } },
  cancel_operation: { takes: ['bigint'], gives: { cancelled: 'boolean' } },
  failure_groups: {
    takes: ['text', 'timestamp with time zone', 'integer', 'integer'],
    gives: { failures: 'text' },
  },
  look_at_queues: { takes: ['integer', 'integer'], gives: { queues: 'text' } },
  prune_stats: { takes: [], gives: { pruned: 'boolean' } },
  read_audit: { takes: ['bigint', 'integer'], gives: { entry: 'text' } },
  read_flow: { takes: ['bigint', 'integer'], gives: { flow: 'text' } },
  read_operations: { takes: ['bigint', 'integer'], gives: { operation: 'text' } },
  read_overview: { takes: [], gives: { overview: 'text' } },
  read_series: {
    takes: ['smallint', 'text[]', 'timestamp with time zone', 'timestamp with time zone', 'integer'],
    gives: {
      at: 'double precision',
      completed: 'bigint',
      failed: 'bigint',
      retried: 'bigint',
      cancelled: 'bigint',
      wait: 'text[]',
      run: 'text[]',
      ready: 'integer',
      running: 'integer',
      scheduled: 'integer',
      dead: 'integer',
      oldest_ms: 'double precision',
    },
  },
  read_system: { takes: ['text'], gives: { system: 'text' } },
  record_stats: { takes: ['json'], gives: { recorded: 'boolean' } },
  step_operation: {
    takes: ['bigint', 'bigint', 'boolean', 'text', 'boolean'],
    gives: { cancelled: 'boolean' },
  },
  store_snapshot: { takes: ['jsonb'], gives: { stored: 'boolean' } },
  write_audit: { takes: ['text', 'text', 'text', 'jsonb', 'bigint'], gives: { id: 'text' } },
  watch_events: {
    takes: ['bigint', 'text[]', 'bigint[]', 'text[]', 'double precision'],
    gives: { id: 'text', resumed: 'boolean', last: 'text' },
  },
  worker_orders: { takes: ['integer'], gives: { orders: 'integer' } },
};

const statements = await allStatements();

describe('the statements', () => {
  it('are prepared by a server with an empty search path, and take and give what this list says', async () => {
    const database = await testDatabase();
    const client = await database.client();
    await client.query(`set search_path = ''`);
    const described: Record<string, DescribedStatement> = {};
    for (const { name, text } of statements) {
      described[name] = await describeStatement(client, name, text(tablesOf(database.schema)));
    }
    expect(described).toEqual(EXPECTED);
  });

  it('have names of their own', () => {
    expect(statements).toHaveLength(Object.keys(EXPECTED).length);
  });
});

describe.each(statements.map((statement) => ({ name: statement.name, statement })))(
  '$name',
  ({ name, statement }) => {
    it('is the same for every schema, but for the names of its objects', () => {
      const [one, other] = [tablesOf('one'), tablesOf('the_other_one')];
      const text = statement.text(other);
      expect(text.replaceAll(other.schema, () => one.schema)).toBe(statement.text(one));
    });

    it('has nothing in its text that was to be filled in', () => {
      expect(statement.text(tablesOf('taskmaster'))).not.toMatch(/\$\{|\{\{|undefined|\[object|NaN|=>/);
    });

    it('declares the type of every parameter', () => {
      const text = statement.text(tablesOf('taskmaster'));
      const parameters = new Set(text.match(/\$\d+/g));
      expect(parameters.size).toBe(EXPECTED[name]?.takes.length);
      for (const parameter of parameters) expect(text).toMatch(new RegExp(`\\${parameter}::\\w+`));
    });
  },
);
