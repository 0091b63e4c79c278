import type { HandlerOptions, Job, Taskmaster, TaskmasterOptions } from '../../../lib/engine/index.js';
import { engine } from '../../support/engine.js';
import type { TestDatabase } from '../../support/test-database.js';
import { EventLog } from './event-log.js';

/** A lease that ends soon, so that tests of what happens then are quick. */
export const SHORT_LEASE = { ttlMs: 1_500, heartbeatMs: 300, heartbeat: 'main' } as const;

/** A failed test must not wait for handlers that it never let go on. */
const SHORT_DRAIN = { drainTimeoutMs: 1_000 };

/** Poll-only: what a test says about finding work must then hold without bells. */
export const NO_BELLS = { listen: { enabled: false } } as const;

export type TestHandler = (job: Job<never>) => unknown;

/** A handler, alone or with options. */
export type HandlerEntry = TestHandler | (HandlerOptions & { readonly handle: TestHandler });

/** An engine at work, and what it reported since it was made. */
export interface WorkingEngine {
  readonly taskmaster: Taskmaster;
  readonly log: EventLog;
}

/** An engine with handlers, not started yet. It is closed after the test. */
export function idleEngine(
  database: TestDatabase,
  handlers: Readonly<Record<string, HandlerEntry>>,
  options: Partial<TaskmasterOptions> = {},
): WorkingEngine {
  const taskmaster = engine(database, { lease: SHORT_LEASE, shutdown: SHORT_DRAIN, ...options });
  const log = new EventLog(taskmaster.events);
  for (const [queue, entry] of Object.entries(handlers)) {
    const { handle, ...handlerOptions } = typeof entry === 'function' ? { handle: entry } : entry;
    taskmaster.register({
      queue,
      label: `handler of ${queue}`,
      options: handlerOptions,
      handle: (_payload, job) => handle(job),
    });
  }
  return { taskmaster, log };
}

/** The same, started. */
export async function workingEngine(
  ...[database, handlers, options]: Parameters<typeof idleEngine>
): Promise<WorkingEngine> {
  const idle = idleEngine(database, handlers, options);
  await idle.taskmaster.start();
  return idle;
}
