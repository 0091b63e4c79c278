import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { EnqueueOutcomeUnknownError, type Taskmaster } from '../../../lib/engine/index.js';
import type { TestDatabase } from '../../support/test-database.js';

/** What the inserters of a stress test did. */
export interface Inserted {
  committed: number;
  rolledBack: number;
  deadlocks: number;
  /** Their connection was ended before the answer came. */
  unknown: number;
}

const QUEUES = ['plain', 'effect', 'plain', 'retry'];
const ROWS = 4;

/** Tables that inserters fight over; before the first of them. */
export async function prepareInserters(database: TestDatabase): Promise<void> {
  await database.query(`create table fought_over (n integer primary key, value integer not null default 0)`);
  await database.query(`insert into fought_over (n) select generate_series(1, ${ROWS})`);
}

/**
 * Applications that enqueue, each over a connection of its own, until they are told to stop: by single statements, in transactions that
 * take their time, in transactions that deadlock, and through the publisher. They insert behind each other's back, so that
 * jobs commit in another order than that of their places.
 */
export class Inserters {
  readonly inserted: Inserted = { committed: 0, rolledBack: 0, deadlocks: 0, unknown: 0 };
  readonly #stop = new AbortController();

  constructor(
    private readonly database: TestDatabase,
    private readonly publisher: Taskmaster['publisher'],
  ) {}

  /** Resolves when all have stopped. */
  async run(): Promise<Inserted> {
    await Promise.all([
      ...Array.from({ length: 3 }, () => this.#loop((client) => this.#single(client))),
      ...Array.from({ length: 6 }, () => this.#loop((client) => this.#paused(client))),
      ...Array.from({ length: 3 }, () => this.#loop((client) => this.#deadlocking(client))),
      this.#loop(() => this.#published()),
    ]);
    return this.inserted;
  }

  stop(): void {
    this.#stop.abort();
  }

  async #loop(step: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = await this.database.client();
    while (!this.#stop.signal.aborted) {
      await step(client);
      await delay(10 + Math.random() * 60);
    }
  }

  async #single(client: pg.Client): Promise<void> {
    const count = 1 + Math.floor(Math.random() * 3);
    await insert(client, this.database.schema, count);
    this.inserted.committed += count;
  }

  /** The others move on while it waits. */
  async #paused(client: pg.Client): Promise<void> {
    await client.query('begin');
    const first = 1 + Math.floor(Math.random() * 3);
    await insert(client, this.database.schema, first);
    await delay(Math.random() ** 3 * 300);
    await insert(client, this.database.schema, 1);
    const commits = Math.random() < 0.8;
    await client.query(commits ? 'commit' : 'rollback');
    this.inserted[commits ? 'committed' : 'rolledBack'] += first + 1;
  }

  /** Locks two rows in whatever order; the server ends some of those that wait for each other. */
  async #deadlocking(client: pg.Client): Promise<void> {
    await client.query('begin');
    await insert(client, this.database.schema, 1);
    try {
      for (const n of [1 + Math.floor(Math.random() * ROWS), 1 + Math.floor(Math.random() * ROWS)]) {
        await client.query('update fought_over set value = value + 1 where n = $1', [n]);
        await delay(Math.random() * 20);
      }
      await client.query('commit');
      this.inserted.committed += 1;
    } catch (error) {
      if ((error as { code?: string }).code !== '40P01') throw error;
      await client.query('rollback');
      this.inserted.deadlocks += 1;
    }
  }

  async #published(): Promise<void> {
    const count = 5;
    const options = Math.random() < 0.3 ? { delayMs: Math.floor(Math.random() * 200) } : {};
    const jobs = Array.from({ length: count }, () => this.publisher.enqueue(queue(), payload(), options));
    for (const result of await Promise.allSettled(jobs)) {
      if (result.status === 'fulfilled') this.inserted.committed += 1;
      else if (result.reason instanceof EnqueueOutcomeUnknownError) this.inserted.unknown += 1;
      else throw result.reason;
    }
  }
}

async function insert(client: pg.Client, schema: string, count: number): Promise<void> {
  await client.query(
    `insert into "${schema}".jobs (queue_name, payload, priority) select $1, $2, $3 from generate_series(1, $4::integer)`,
    [queue(), JSON.stringify(payload()), Math.floor(Math.random() * 3), count],
  );
}

function queue(): string {
  return QUEUES[Math.floor(Math.random() * QUEUES.length)]!;
}

function payload(): object {
  return { workMs: Math.floor(Math.random() * 30) };
}
