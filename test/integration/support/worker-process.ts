/**
 * A process with an engine at work, for tests of what can be done to a process and not to an engine. Prints what happens, a line each:
 * `ready`, `batch <ids>`, `started <id> <attempt>`, `ended <id>`, `aborted <id> <code of the reason>`, `event <type> <id>`, `closed`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  Taskmaster,
  type BatchOptions,
  type HandlerOptions,
  type Job,
  type JobBatch,
  type TaskmasterOptions,
} from '../../../lib/engine/index.js';

/** What a job asks its handler to do, one thing after another. */
export interface Orders {
  /** Waits for SIGUSR2. */
  readonly hold?: true;
  /** Blocks the main thread for so many milliseconds. */
  readonly blockMs?: number;
  /** Works for so many milliseconds, without blocking. */
  readonly workMs?: number;
  /** Ends the process, as `kill -9` would. */
  readonly die?: true;
  /** Leaves a rejected promise behind that nobody awaits. */
  readonly stray?: true;
  /** Takes memory until there is none. */
  readonly hoard?: true;
}

/** The one argument, as JSON. */
export interface WorkerProcessOptions {
  readonly taskmaster: TaskmasterOptions;
  readonly queue: string;
  readonly concurrency?: number;
  readonly maxAttempts?: number;
  /** Further options of the handler that JSON can say. */
  readonly options?: HandlerOptions;
  /** The handler gets batches; what each job asks for is done for one after another. */
  readonly batch?: BatchOptions;
}

const {
  taskmaster: options,
  queue,
  concurrency = 10,
  maxAttempts = 10,
  options: further = {},
  batch,
} = JSON.parse(process.argv[2]!) as WorkerProcessOptions;

const say = (...words: readonly unknown[]) => console.log(words.join(' '));

const signalled = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));

async function handle(orders: Orders, job: Job): Promise<void> {
  job.signal.addEventListener('abort', () =>
    say('aborted', job.id, (job.signal.reason as { code?: string }).code),
  );
  say('started', job.id, job.runCount);
  if (orders.stray) void Promise.reject(new Error('nobody awaits this'));
  if (orders.hold) await signalled;
  if (orders.blockMs !== undefined) block(orders.blockMs);
  if (orders.workMs !== undefined) await delay(orders.workMs);
  if (orders.hoard) await hoard();
  if (orders.die) process.kill(process.pid, 'SIGKILL');
  say('ended', job.id);
}

async function handleBatch(all: Orders[], jobs: JobBatch): Promise<void> {
  say('batch', ...jobs.map((job) => job.id));
  for (const [index, job] of jobs.entries()) await handle(all[index]!, job);
}

async function hoard(): Promise<void> {
  for (const all: number[][] = []; ; await delay(0))
    all.push(Array.from({ length: 1_000_000 }, () => all.length));
}

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const taskmaster = new Taskmaster(options);
taskmaster.events.subscribe((event) => say('event', event.type, 'jobId' in event ? event.jobId : ''));
const handler = {
  queue,
  label: 'worker process',
  options: { concurrency, maxAttempts, backoff: 50, ...further },
};
if (batch === undefined) taskmaster.register({ ...handler, handle });
else taskmaster.register({ ...handler, batch, handleBatch });
process.on('SIGTERM', () => void taskmaster.close().then(() => say('closed'))); // then nothing is left that keeps the process
await taskmaster.start();
say('ready');
