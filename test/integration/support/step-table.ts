import type { TestDatabase } from '../../support/test-database.js';
import { eventually } from '../../support/eventually.js';

/** A step, sleep or wait as it is stored. */
export interface StoredStep {
  readonly job_id: string;
  readonly kind: 'step' | 'sleep' | 'event';
  readonly name: string;
  readonly nth: number;
  readonly event_name: string | null;
  readonly finished: boolean;
  readonly result: unknown;
}

/** A job that sleeps, as `sleeping_jobs` shows it. */
export interface SleepingJob {
  readonly id: string;
  readonly kind: 'sleep' | 'event';
  readonly name: string | null;
  readonly event_name: string | null;
  readonly wake_at: Date | null;
}

/** The steps of a database's jobs as SQL sees them, and the events they wait for. */
export class StepTable {
  constructor(private readonly database: Pick<TestDatabase, 'schema' | 'query'>) {}

  all(): Promise<StoredStep[]> {
    return this.database.query<StoredStep>(
      `select job_id, kind, name, nth, event_name, finished_at is not null as finished, result
         from "${this.database.schema}".steps order by job_id, created_at, kind, name, nth`,
    );
  }

  sleeping(): Promise<SleepingJob[]> {
    return this.database.query<SleepingJob>(
      `select id, kind, name, event_name, wake_at from "${this.database.schema}".sleeping_jobs order by id, kind, name`,
    );
  }

  /** Resolves when that many jobs sleep. */
  async asleep(count = 1): Promise<SleepingJob[]> {
    return eventually(async () => {
      const sleeping = await this.sleeping();
      return new Set(sleeping.map(({ id }) => id)).size === count && sleeping;
    }) as Promise<SleepingJob[]>;
  }

  /** Events that are stored. */
  async emitted(): Promise<{ name: string; pending: boolean }[]> {
    return this.database.query(`select name, pending from "${this.database.schema}".emitted order by id`);
  }

  /** Resolves when no event waits to be delivered. */
  async delivered(): Promise<void> {
    await eventually(async () => (await this.emitted()).every(({ pending }) => !pending));
  }

  /** The time of all sleeps and waits is over. */
  async elapse(): Promise<void> {
    await this.database.query(
      `update "${this.database.schema}".steps set wake_at = now() where finished_at is null and wake_at is not null`,
    );
    await this.database.query(
      `update "${this.database.schema}".jobs as job set run_at = now()
        where run_at is not null and failed_at is null
          and exists (select from "${this.database.schema}".steps as step where step.job_id = job.id and step.token = job.seq and step.wake_at <= now())`,
    );
    await this.database.query(`select "${this.database.schema}".ring('')`);
  }

  /** The job belongs to somebody else from now on, as after a rescue. */
  async takeOver(jobId: string): Promise<void> {
    await this.database.query(
      `update "${this.database.schema}".jobs set seq = nextval('"${this.database.schema}".jobs_seq'), run_count = run_count + 1 where id = $1`,
      [jobId],
    );
    await this.database.query(
      `select "${this.database.schema}".ring(queue_name) from "${this.database.schema}".jobs where id = $1`,
      [jobId],
    );
  }
}
