import type { BatchHandlerOptions, JobBatch, TaskmasterOptions } from '../../../lib/engine/index.js';
import { engine } from '../../support/engine.js';
import { SignalPoint } from '../../support/signal-point.js';
import type { TestDatabase } from '../../support/test-database.js';
import { EventLog } from './event-log.js';
import { SHORT_LEASE, type WorkingEngine } from './working-engine.js';

/** A handler of batches of the queue `mail`, with its options. */
export interface BatchEntry extends BatchHandlerOptions {
  readonly size: number;
  readonly waitMs?: number;
  readonly handle?: (payloads: never[], jobs: JobBatch<never>) => unknown;
}

/** An engine at work on batches: the ids of each that began. */
export interface BatchEngine extends WorkingEngine {
  readonly batches: SignalPoint<readonly string[]>;
}

/** An engine whose queue `mail` has a handler of batches, started. It is closed after the test. */
export async function batchEngine(
  database: TestDatabase,
  { size, waitMs = 0, handle = () => undefined, ...handlerOptions }: BatchEntry,
  options: Partial<TaskmasterOptions> = {},
): Promise<BatchEngine> {
  const taskmaster = engine(database, {
    lease: SHORT_LEASE,
    shutdown: { drainTimeoutMs: 1_000 },
    ...options,
  });
  const log = new EventLog(taskmaster.events);
  const batches = new SignalPoint<readonly string[]>();
  taskmaster.register({
    queue: 'mail',
    label: 'batches of mail',
    batch: { size, waitMs },
    handleBatch: (payloads, jobs) => {
      batches.signal(jobs.map((job) => job.id));
      return handle(payloads, jobs);
    },
    options: handlerOptions,
  });
  await taskmaster.start();
  return { taskmaster, log, batches };
}
