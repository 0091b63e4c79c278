import type { TestDatabase } from '../../support/test-database.js';

/** A job that a schedule has fired. */
export interface FiredJob {
  readonly id: string;
  readonly queue: string;
  readonly payload: unknown;
  readonly schedule: string;
  readonly scheduledFor: Date;
  readonly state: string;
  readonly priority: number;
  readonly maxAttempts: number | null;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** The schedules of a test's database, and the time they live in. */
export class ScheduleTable {
  readonly schema: string;

  constructor(private readonly database: TestDatabase) {
    this.schema = `"${database.schema}"`;
  }

  /**
   * So much time passes for a schedule: everything it remembers, and is planned for, moves that far into the past. The database's
   * clock cannot be set.
   */
  async pass(name: string, ms: number): Promise<void> {
    await this.database.query(
      `update ${this.schema}.schedules
          set anchor_at = anchor_at - $2 * interval '1 millisecond', next_run_at = next_run_at - $2 * interval '1 millisecond',
              last_due_at = last_due_at - $2 * interval '1 millisecond', code_seen_at = code_seen_at - $2 * interval '1 millisecond'
        where name = $1`,
      [name, ms],
    );
  }

  /** It is due in so many milliseconds; below 0: since then. */
  async dueIn(name: string, ms: number): Promise<Date> {
    const [row] = await this.database.query<{ due: Date }>(
      `update ${this.schema}.schedules
          set next_run_at = date_trunc('milliseconds', now() + $2 * interval '1 millisecond')
        where name = $1 returning next_run_at as due`,
      [name, ms],
    );
    return row!.due;
  }

  /** What schedules have fired that is still in the table, in the order of their firing. */
  jobs(): Promise<FiredJob[]> {
    return this.database.query(
      `select id, queue_name as queue, payload, meta ->> 'schedule' as schedule, (meta ->> 'scheduledFor')::timestamptz as "scheduledFor",
              state, priority, max_attempts as "maxAttempts", meta
         from ${this.schema}.job_states where meta ? 'schedule' order by id`,
    );
  }
}
