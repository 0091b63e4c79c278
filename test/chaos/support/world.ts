import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LeaseOptions, TaskmasterOptions } from '../../../lib/engine/index.js';
import { childProcess, type ProcessEnd, type TestProcess } from '../../support/child-process.js';
import { eventually } from '../../support/eventually.js';
import { FaultyProxy } from '../../support/faulty-proxy.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import type { TestDatabase } from '../../support/test-database.js';
import type { HandlerProcessOptions } from './handler-process.js';
import { explain, NO_VIOLATIONS, type Verdict, verdictOn } from './checks.js';
import { History } from './history.js';
import type { Mutant } from './mutant.js';
import type { PgServer } from './pg-server.js';
import type { OutcomeLine, ProducerOptions } from './producer-process.js';

/** Options of {@link chaosWorld}. */
export interface WorldOptions {
  /** Processes in which a guard of the library is missing. @default none */
  readonly mutant?: Mutant;
  readonly lease?: Partial<LeaseOptions>;
  readonly concurrency?: number;
  readonly taskmaster?: Partial<TaskmasterOptions>;
}

const MIGRATE = new URL('../../integration/support/migrate-process.ts', import.meta.url);

/** Short, so that what happens at its end happens often; long enough for a machine that many share. */
export const CHAOS_LEASE = {
  ttlMs: 3_000,
  heartbeatMs: 500,
  heartbeat: 'thread',
  maxCrashes: 1_000,
} as const;

/** A process with an engine, and the network between it and the database. */
export interface ChaosWorker {
  readonly name: string;
  readonly proxy: FaultyProxy;
  process: TestProcess;
}

/** A server, a history of it, workers behind networks of their own, and producers. Everything ends with the test. */
export class ChaosWorld {
  readonly workers: ChaosWorker[] = [];
  readonly producers: { readonly name: string; readonly process: TestProcess; readonly file: string }[] = [];
  readonly lease: Required<LeaseOptions>;
  #producerFiles: string[] = [];

  constructor(
    readonly server: Pick<PgServer, 'config' | 'query'>,
    readonly database: TestDatabase,
    readonly history: History,
    private readonly folder: string,
    private readonly options: WorldOptions,
  ) {
    this.lease = { ...CHAOS_LEASE, ...options.lease };
  }

  /** A worker, at work. */
  async worker(name: string, more: { readonly tickMs?: number } = {}): Promise<ChaosWorker> {
    const { host, port } = this.database.config;
    const proxy = new FaultyProxy({ host: host!, port: port! });
    const proxyPort = await proxy.listen();
    onTestFinished(() => proxy.close());
    const worker: ChaosWorker = { name, proxy, process: this.#launch(name, proxyPort, more) };
    this.#ports.set(name, { port: proxyPort, more });
    this.workers.push(worker);
    await worker.process.line(/^ready/, { timeoutMs: 60_000 });
    return worker;
  }

  readonly #ports = new Map<string, { readonly port: number; readonly more: { readonly tickMs?: number } }>();

  /** A process that has ended is started again, under its name. Resolves when it works. */
  async restart(worker: ChaosWorker): Promise<void> {
    const { port, more } = this.#ports.get(worker.name)!;
    this.#keep(worker);
    worker.process = this.#launch(worker.name, port, more);
    await worker.process.line(/^ready/, { timeoutMs: 60_000 });
  }

  /** Resolves when a worker that was told to end has ended. */
  async gone({ name, process }: ChaosWorker): Promise<ProcessEnd> {
    try {
      return await process.exit({ timeoutMs: 60_000 });
    } catch (error) {
      const said = process.stdout.values
        .filter((line) => !/event (started|completed|retried)/.test(line))
        .slice(-30);
      throw new Error(`${name} did not end:\n${said.join('\n')}`, { cause: error });
    }
  }

  /** Everything that workers have said of this type, those that were killed included. */
  said(type: string): number {
    const lines = [...this.#past, ...this.workers.flatMap((worker) => worker.process.stdout.values)];
    return lines.filter((line) => line.startsWith(`event ${type} `) || line === `event ${type}`).length;
  }

  /** What engines reported as errors, and what processes wrote to standard error. */
  get complaints(): string[] {
    const processes = [
      ...this.workers.map((worker) => worker.process),
      ...this.producers.map(({ process }) => process),
    ];
    const errors = [...this.#past, ...processes.flatMap(({ stdout }) => stdout.values)].filter((line) =>
      line.startsWith('error '),
    );
    return [...errors, ...this.#pastErrors, ...processes.flatMap(({ stderr }) => stderr.values)];
  }

  readonly #past: string[] = [];
  readonly #pastErrors: string[] = [];

  #keep({ process }: ChaosWorker): void {
    this.#past.push(...process.stdout.values);
    this.#pastErrors.push(...process.stderr.values);
  }

  #launch(name: string, port: number, more: { readonly tickMs?: number }): TestProcess {
    const all: HandlerProcessOptions = {
      name,
      concurrency: this.options.concurrency ?? 5,
      connection: { ...this.database.config, host: '127.0.0.1', port },
      audit: this.server.config,
      taskmaster: {
        schema: this.database.schema,
        migrations: 'off',
        connect: 'lazy',
        connectTimeoutMs: 5_000,
        lease: this.lease,
        shutdown: { drainTimeoutMs: 5_000 },
        ...this.options.taskmaster,
      },
      ...more,
    };
    return childProcess(new URL('./handler-process.ts', import.meta.url), {
      args: [JSON.stringify(all)],
      execArgv: ['--trace-warnings'],
      env: this.options.mutant ?? {},
    });
  }

  /** The table of jobs, quoted. */
  get jobs(): string {
    return `"${this.database.schema}".jobs`;
  }

  /** Jobs of plain SQL. */
  async insert(queue: string, orders: object, count = 1): Promise<void> {
    await this.database.query(
      `insert into ${this.jobs} (queue_name, payload) select $1, $2 from generate_series(1, $3::integer)`,
      [queue, JSON.stringify(orders), count],
    );
  }

  /** An application that enqueues. */
  async producer(
    options: Partial<ProducerOptions> & { readonly seed: number; readonly pauseMs: number },
  ): Promise<TestProcess> {
    const name = options.name ?? 'producer';
    const file = join(this.folder, `${name}-${this.#producerFiles.length}.jsonl`);
    this.#producerFiles.push(file);
    const all: ProducerOptions = {
      schema: this.database.schema,
      connection: this.database.config,
      ...options,
      name,
      file,
    };
    const process = childProcess(new URL('./producer-process.ts', import.meta.url), {
      args: [JSON.stringify(all)],
      env: this.options.mutant ?? {},
    });
    this.producers.push({ name, process, file });
    await process.line(/^ready/, { timeoutMs: 60_000 });
    return process;
  }

  /** Resolves when nothing is left to do; with how long that took. Schedules fire no more. */
  async drained({ timeoutMs = 60_000 } = {}): Promise<number> {
    const since = performance.now();
    await this.database.query(`update "${this.database.schema}".schedules set paused_at = now()`);
    await eventually(
      async () => {
        const [row] = await this.database.query<{ left: number }>(
          `select (select count(*) from ${this.jobs} where failed_at is null)::integer
                + (select count(*) from "${this.database.schema}".leases)::integer as left`,
        );
        return row!.left === 0;
      },
      { timeoutMs },
    );
    return performance.now() - since;
  }

  /** What the producers know of their enqueues, handed to the database. Answers with how many of each outcome. */
  async storeOutcomes(): Promise<Record<string, number>> {
    const lines = new Map<string, OutcomeLine>();
    for (const file of this.#producerFiles.filter((path) => existsSync(path))) {
      for (const line of (await readFile(file, 'utf8')).split('\n').filter((text) => text.endsWith('}'))) {
        const parsed = JSON.parse(line) as OutcomeLine;
        lines.set(parsed.key, parsed);
      }
    }
    const known = [...lines.values()].map((line) => ({
      ...line,
      outcome: line.outcome === 'attempt' ? 'unknown' : line.outcome,
    }));
    await this.database.query(
      `insert into audit.outcomes (key, outcome, business, error, at)
       select o->>'key', o->>'outcome', (o->>'business')::boolean, o->>'error', to_timestamp((o->>'at')::double precision / 1000)
         from jsonb_array_elements($1::jsonb) as o`,
      [JSON.stringify(known)],
    );
    return Object.fromEntries(
      ['ok', 'rolled back', 'failed', 'unknown'].map((outcome) => [
        outcome,
        known.filter((line) => line.outcome === outcome).length,
      ]),
    );
  }

  /** The hard checks, over a history that has come to rest; their examples in `words`. */
  async verdict(): Promise<{ readonly verdict: Verdict; readonly words: readonly string[] }> {
    const options = { ttlMs: this.lease.ttlMs, maxCrashes: this.lease.maxCrashes };
    const verdict = await verdictOn(this.history, options);
    return { verdict, words: await explain(this.history, verdict, options) };
  }

  /** Stores what is known, judges, and fails with what happened to the jobs that are examples. */
  async assertSound(): Promise<void> {
    await this.storeOutcomes();
    await this.history.storeFaults();
    const { verdict, words } = await this.verdict();
    if (words.length > 0) throw new Error(`The history is not sound.\n${words.join('\n')}`);
    if (JSON.stringify(verdict) !== JSON.stringify(NO_VIOLATIONS)) throw new Error('unreachable');
  }
}

/** A world in the database of a server of its own. */
export async function chaosWorld(server: PgServer, options: WorldOptions = {}): Promise<ChaosWorld> {
  const schema = process.env['TASKMASTER_TEST_SCHEMA'] ?? 'taskmaster';
  await migrate(server, schema, options.mutant ?? {});
  return worldIn(server.databaseAt(server.config, schema), server, options);
}

/** A world in a database that is there, such as that of a test on the server of the run. */
export async function worldIn(
  database: TestDatabase,
  server: Pick<PgServer, 'config' | 'query'>,
  options: WorldOptions = {},
): Promise<ChaosWorld> {
  const history = new History(database);
  await history.begin();
  return new ChaosWorld(server, database, history, await temporaryFolder(), options);
}

/** By the library that is under test: guards live in its SQL too. */
async function migrate(server: PgServer, schema: string, env: Mutant): Promise<void> {
  const args = [JSON.stringify({ config: server.config, schema })];
  const migrating = childProcess(MIGRATE, { args, env });
  const { code } = await migrating.exit({ timeoutMs: 120_000 });
  if (code !== 0)
    throw new Error(`The schema could not be installed:\n${migrating.stderr.values.join('\n')}`);
}
