/**
 * An application that enqueues, in every way there is, until SIGTERM. Before each enqueue it writes its key to a file of its own, and
 * afterwards what came of it, each line flushed to the disk: `ok`, `rolled back`, `failed` (the library says that nothing was
 * stored) or `unknown`. Keys without an outcome were under way when it was killed: unknown. Prints `ready` and `closed`.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import * as Engine from '../../../lib/engine/index.js';
import type { ChaosOrders } from './handler-process.js';
import { Random } from './random.js';

/** A line of the producer's file. */
export interface OutcomeLine {
  readonly key: string;
  readonly outcome: 'attempt' | 'ok' | 'rolled back' | 'failed' | 'unknown';
  /** It wrote a row of its own in the same transaction. */
  readonly business: boolean;
  readonly error?: string;
  readonly at: number;
}

/** The one argument, as JSON. */
export interface ProducerOptions {
  readonly name: string;
  readonly schema: string;
  readonly connection: pg.ClientConfig;
  readonly file: string;
  readonly seed: number;
  /** How many jobs to enqueue; without, until SIGTERM. */
  readonly jobs?: number;
  /** The wait between two enqueues of one loop, in milliseconds. */
  readonly pauseMs: number;
}

const options = JSON.parse(process.argv[2]!) as ProducerOptions;
const random = new Random(options.seed);
const file = openSync(options.file, 'a');
const connection = { ...options.connection, application_name: options.name };
const taskmaster = new Engine.Taskmaster({
  connection,
  name: options.name,
  schema: options.schema,
  migrations: 'off',
  consume: false,
  warnOutsideTransaction: false,
});
const pool = new pg.Pool({
  ...connection,
  max: 8,
  connectionTimeoutMillis: 3_000,
  query_timeout: 10_000,
});
pool.on('error', () => undefined);
pool.on('connect', (client) => void client.on('error', () => undefined));

let stopping = false;
let count = 0;
const left = () => !stopping && (options.jobs === undefined || count < options.jobs);

function record(line: OutcomeLine): void {
  writeSync(file, `${JSON.stringify(line)}\n`);
  fsyncSync(file);
}

/** One enqueue, as `attempt` describes it; whatever it throws is judged. */
async function enqueue(
  business: boolean,
  attempt: (key: string) => Promise<OutcomeLine['outcome']>,
): Promise<void> {
  const key = `${options.name}-${(count += 1)}`;
  record({ key, outcome: 'attempt', business, at: Date.now() });
  try {
    record({ key, outcome: await attempt(key), business, at: Date.now() });
  } catch (error) {
    const { message } = error as Error;
    record({
      key,
      outcome: error instanceof Unknown ? 'unknown' : 'failed',
      business,
      error: message,
      at: Date.now(),
    });
    await delay(50);
  }
}

/** The connection was lost where it may or may not have been committed. */
class Unknown extends Error {}

/** Through the library, in a commit of its own; `failed` is what the library says. */
async function plain(queue: string, orders: ChaosOrders, more: Engine.EnqueueOptions = {}): Promise<void> {
  await enqueue(false, async (key) => {
    try {
      await taskmaster.publisher.enqueue(queue, { ...orders, key }, more);
      return 'ok';
    } catch (error) {
      if (error instanceof Engine.EnqueueOutcomeUnknownError) throw new Unknown(error.message);
      throw error;
    }
  });
}

/** With a row of the application's own, in a transaction of the application's own. */
async function transactional(queue: string, orders: ChaosOrders): Promise<void> {
  await enqueue(true, async (key) => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('begin');
      await client.query('insert into audit.business values ($1)', [key]);
      await taskmaster.publisher.enqueue(queue, { ...orders, key }, { tx: client });
      if (random.chance(0.3)) await delay(random.between(0, 200));
      if (random.chance(0.2)) {
        await client.query('rollback');
        return 'rolled back';
      }
      await client.query('commit').catch((error: { code?: string; message: string }) => {
        // 54000 and the like: the server says itself that it did not commit. Everything else may have been committed.
        if (error.code !== undefined && /^(54|53|40)/.test(error.code)) throw error;
        throw new Unknown(error.message);
      });
      return 'ok';
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  });
}

/** Without the library: an INSERT as any client makes it. */
async function plainSql(queue: string, orders: ChaosOrders): Promise<void> {
  await enqueue(false, async (key) => {
    const text = `insert into "${options.schema}".jobs (queue_name, payload, priority) values ($1, $2, $3)`;
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query(text, [queue, JSON.stringify({ ...orders, key }), random.between(0, 2)]);
      return 'ok';
    } catch (error) {
      broken = error as Error;
      const { code } = error as { code?: string };
      if (code !== undefined && /^(54|53|40)/.test(code)) throw error;
      throw new Unknown(broken.message);
    } finally {
      client.release(broken);
    }
  });
}

const work = (): ChaosOrders => ({
  workMs: random.chance(0.1) ? random.between(100, 800) : random.between(0, 30),
});

async function mixed(): Promise<void> {
  const way = random.next();
  if (way < 0.35) await plain('plain', work());
  else if (way < 0.55) await transactional('plain', work());
  else if (way < 0.65) await transactional('effect', work());
  else if (way < 0.75) await plainSql('plain', work());
  else if (way < 0.85) await plain('plain', { ...work(), throws: random.between(1, 2) });
  else if (way < 0.88) await plain('doomed', { throws: 9 }, { maxAttempts: 3 });
  else if (way < 0.94) await plain('plain', work(), { delayMs: random.between(100, 2_000) });
  else await plain('effect', work());
}

/** One producer to a group, one after another: their order is known. */
const grouped = (queue: string, group: string) => plain(queue, work(), { group });

async function loop(step: () => Promise<void>, pauseMs = options.pauseMs): Promise<void> {
  while (left()) {
    await step();
    await delay(pauseMs * (0.5 + random.next()));
  }
}

process.once('SIGTERM', () => (stopping = true));
await taskmaster.open();
console.log('ready');
await Promise.all([
  ...Array.from({ length: 6 }, () => loop(mixed)),
  ...['a', 'b', 'c'].map((group) => loop(() => grouped('ordered', group), 5 * options.pauseMs)),
  loop(() => grouped('pairs', 'p'), 5 * options.pauseMs),
  loop(() => grouped('pairs', 'p'), 5 * options.pauseMs),
]);
await taskmaster.close();
await pool.end();
closeSync(file);
console.log('closed');
