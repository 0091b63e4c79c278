import type { TestDatabase } from '../../support/test-database.js';
import { eventually } from '../../support/eventually.js';

/** A job as `job_states` shows it. */
export interface JobState {
  readonly id: string;
  readonly queue_name: string;
  readonly state: 'scheduled' | 'ready' | 'running' | 'blocked' | 'failed';
  readonly run_count: number;
  readonly crash_count: number;
  readonly last_error: {
    readonly name: string;
    readonly message: string;
    readonly code?: string;
    readonly stack?: string;
  } | null;
  readonly locked_by: number | null;
}

/** Columns of a job to insert beside its queue. */
export type JobColumns = Readonly<Record<string, unknown>>;

/** The jobs of a database as SQL sees them: inserted as any client would, looked at without the library. */
export class JobTable {
  constructor(private readonly database: Pick<TestDatabase, 'schema' | 'query'>) {}

  /** The quoted schema, for statements of a test's own. */
  get schema(): string {
    return `"${this.database.schema}"`;
  }

  /** Inserts one job and answers with its id. */
  async insert(queue: string, columns: JobColumns = {}): Promise<string> {
    const all: JobColumns = { queue_name: queue, payload: '{}', ...columns };
    const names = Object.keys(all);
    const places = names.map((_, index) => `$${index + 1}`);
    const text = `insert into ${this.schema}.jobs (${names.join(', ')}) values (${places.join(', ')}) returning id`;
    const [row] = await this.database.query<{ id: string }>(text, Object.values(all));
    return row!.id;
  }

  /** Inserts that many jobs with one statement; their payloads are `{ n }`, from 0. */
  async insertMany(queue: string, count: number): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(
      `insert into ${this.schema}.jobs (queue_name, payload)
       select $1, jsonb_build_object('n', n) from generate_series(0, $2::integer - 1) as n returning id`,
      [queue, count],
    );
    return rows.map((row) => row.id);
  }

  all(): Promise<JobState[]> {
    return this.database.query<JobState>(
      `select id, queue_name, state, run_count, crash_count, last_error, locked_by from ${this.schema}.job_states order by id`,
    );
  }

  /** One job; `undefined` when it is gone. */
  async of(id: string): Promise<JobState | undefined> {
    return (await this.all()).find((job) => job.id === id);
  }

  /** Resolves with a job once it is in that state. */
  in(id: string, state: JobState['state'], { timeoutMs = 10_000 } = {}): Promise<JobState> {
    return eventually(
      async () => {
        const job = await this.of(id);
        return job?.state === state && job;
      },
      { timeoutMs },
    ) as Promise<JobState>;
  }

  /** Resolves when all jobs are gone, and with them every lease. */
  async empty({ timeoutMs = 10_000 } = {}): Promise<void> {
    await eventually(
      async () => {
        const [left] = await this.database.query<{ jobs: number; leases: number }>(
          `select (select count(*) from ${this.schema}.jobs)::integer as jobs, (select count(*) from ${this.schema}.leases)::integer as leases`,
        );
        return left!.jobs + left!.leases === 0;
      },
      { timeoutMs },
    );
  }

  /** The workers that are alive, or not yet found dead. */
  async workers(): Promise<number[]> {
    const rows = await this.database.query<{ id: number }>(
      `select id from ${this.schema}.workers order by id`,
    );
    return rows.map((row) => row.id);
  }
}
