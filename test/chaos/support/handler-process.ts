/**
 * A worker whose handlers tell a history what they do, over a connection of their own. Prints `ready`, `event <type> <id>`,
 * `error <message>` and `closed`. Ends at SIGTERM. SIGUSR2 lets go those that hold.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Socket } from 'node:net';
import pg from 'pg';
import * as Engine from '../../../lib/engine/index.js';

/** What a job asks of its handler. */
export interface ChaosOrders {
  readonly key?: string;
  readonly workMs?: number;
  /** Throws that often, then succeeds. */
  readonly throws?: number;
  /** Waits for SIGUSR2. */
  readonly hold?: true;
}

/** The one argument, as JSON. */
export interface HandlerProcessOptions {
  /** Also its `application_name`. */
  readonly name: string;
  readonly taskmaster: Omit<Engine.TaskmasterOptions, 'connection' | 'name'>;
  readonly connection: pg.ClientConfig;
  /** Straight to the database: what happens to `connection` must not keep anything from being written down. */
  readonly audit: pg.ClientConfig;
  readonly concurrency: number;
  /** Fires into the queue `tick` so often, in milliseconds; none without. */
  readonly tickMs?: number;
}

const options = JSON.parse(process.argv[2]!) as HandlerProcessOptions;
const { name, concurrency } = options;
const say = (...words: readonly unknown[]) => console.log(words.join(' '));
const signalled = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));

const audit = new pg.Pool({
  ...options.audit,
  application_name: 'audit',
  max: 10,
  connectionTimeoutMillis: 5_000,
});
audit.on('error', () => undefined);
audit.on('connect', (client) => void client.on('error', () => undefined));

/** Until it is written: an event that is not in the history would be blamed on the library. */
async function note<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
  for (;;) {
    if (audit.ending) return []; // a handler that goes on after its engine was closed
    try {
      return (await audit.query<Row>(text, [...values])).rows;
    } catch (error) {
      if ((error as { code?: string }).code?.startsWith('42') === true) throw error;
      await delay(50);
    }
  }
}

async function run(job: Engine.Job, work: () => Promise<void>): Promise<void> {
  const [row] = await note<{ id: string }>(
    `insert into audit.runs (by, pid, job_id, queue, attempt) values ($1, $2, $3, $4, $5) returning id`,
    [name, process.pid, job.id, job.queue, job.runCount],
  );
  const end = (ending: string) =>
    note(`update audit.runs set ended_at = clock_timestamp(), ending = $2 where id = $1`, [row?.id, ending]);
  job.signal.addEventListener(
    'abort',
    () => void note(`update audit.runs set aborted_at = clock_timestamp() where id = $1`, [row?.id]),
  );
  try {
    await work();
    await end('returned');
  } catch (error) {
    await end('threw');
    throw error;
  }
}

async function obey({ workMs = 0, throws = 0, hold }: ChaosOrders, job: Engine.Job): Promise<void> {
  if (hold) await signalled;
  if (workMs > 0) await delay(workMs);
  if (job.runCount <= throws) throw new Error('as it was told to');
}

const taskmaster = new Engine.Taskmaster({
  ...options.taskmaster,
  name,
  connection: { ...options.connection, application_name: name },
});
taskmaster.events.subscribe((event) => {
  say('event', event.type, 'jobId' in event ? event.jobId : '');
  // A process that was starved for longer than its lease says so: what it loses by that is explained.
  if (event.type === 'workerLost')
    void note(
      `insert into audit.faults values ('lost', $1, clock_timestamp() - $2::double precision * interval '1 millisecond', clock_timestamp())`,
      [name, 2 * (options.taskmaster.lease?.ttlMs ?? 30_000)],
    );
  if (event.type === 'engineError') say('error', event.operation, (event.error as Error).message);
});

const handle = (orders: ChaosOrders, job: Engine.Job) => run(job, () => obey(orders, job));
const handlers: Readonly<Record<string, Engine.HandlerOptions>> = {
  plain: {},
  ordered: {},
  doomed: { maxAttempts: 3 },
  tick: {},
};
for (const [queue, handlerOptions] of Object.entries(handlers)) {
  taskmaster.register({
    queue,
    label: queue,
    options: { concurrency, maxAttempts: 1_000, backoff: 30, ...handlerOptions },
    handle: handle,
  });
}
taskmaster.register({
  queue: Engine.defineQueue<ChaosOrders>('pairs', { groupConcurrency: 2 }),
  label: 'pairs',
  options: { concurrency, maxAttempts: 1_000, backoff: 30 },
  handle: handle,
});
taskmaster.register({
  queue: 'effect',
  label: 'effect',
  options: { concurrency, maxAttempts: 1_000, backoff: 30 },
  handle: (orders: ChaosOrders, job: Engine.Job) =>
    run(job, () =>
      job.transaction(async (tx) => {
        await obey(orders, job);
        await tx.query('insert into audit.effects values ($1)', [job.id]);
      }),
    ),
});
if (options.tickMs !== undefined) {
  taskmaster.schedule({ name: 'tick', queue: 'tick', everyMs: options.tickMs } as Engine.ScheduleDefinition);
}

process.once('SIGTERM', () => {
  setTimeout(
    () =>
      say(
        'error',
        'still there 20 s after SIGTERM:',
        process.getActiveResourcesInfo().join(' '),
        `connected to ${connectedTo().join(' ')}; engine ${options.connection.port}, history ${options.audit.port}`,
        `(${audit.totalCount} connections, ${audit.idleCount} idle, ${audit.waitingCount} wait)`,
      ),
    20_000,
  ).unref();
  void close();
});
/** The ports of all connections of this process. */
function connectedTo(): number[] {
  const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles(): unknown[] };
  return handles
    .call(process)
    .flatMap((handle) => (handle instanceof Socket ? (handle.remotePort ?? []) : []));
}

async function close(): Promise<void> {
  await taskmaster.close();
  say('closed');
  await audit.end();
}
await taskmaster.start();
say('ready');
