import type { JobHandler } from '../../../../lib/engine/job/handler.js';
import type { Job } from '../../../../lib/engine/job/job.js';
import { QUEUE_DEFAULTS } from '../../../../lib/engine/options.js';
import type { EndedAttempt } from '../../../../lib/engine/worker/attempt.js';
import type { JobNotes } from '../../../../lib/engine/worker/job-notes.js';
import type { JobTransactions } from '../../../../lib/engine/worker/job-transactions.js';
import type { StepStore } from '../../../../lib/engine/worker/step-store.js';
import { WorkerPool } from '../../../../lib/engine/worker/worker-pool.js';

/** Options of {@link testPool}. */
export interface TestPoolOptions {
  readonly queue?: string;
  readonly concurrency?: number;
  readonly handle?: (job: Job) => unknown;
}

/** A pool without a worker around it: what it told is kept. */
export function testPool({
  queue = 'mail',
  concurrency = 2,
  handle = () => undefined,
}: TestPoolOptions = {}) {
  const started: string[] = [];
  const ended: EndedAttempt[] = [];
  const handler: JobHandler = {
    queue,
    label: queue,
    options: { ...QUEUE_DEFAULTS, concurrency, transactional: false },
    deadLetter: undefined,
    aliasOf: undefined,
    schema: undefined,
    handle: (_payload, job) => handle(job),
  };
  const pool = new WorkerPool(
    handler,
    {
      handle,
      transactions: undefined as unknown as JobTransactions, // no handler here opens one
      notes: undefined as unknown as JobNotes, // nor says anything about its job
      steps: undefined as unknown as StepStore, // nor has steps
      onStuck: () => undefined,
      onBrokenPolicy: () => undefined,
    },
    {
      onStarted: (claimed) => started.push(claimed.id),
      onEnded: (attempt) => ended.push(attempt),
      onSlotFree: () => undefined,
    },
  );
  return { pool, started, ended };
}
