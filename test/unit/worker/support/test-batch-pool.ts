import type { StandardSchema } from '../../../../lib/engine/codec/standard-schema.js';
import type { BatchHandler } from '../../../../lib/engine/job/handler.js';
import type { JobBatch } from '../../../../lib/engine/job/job-batch.js';
import { QUEUE_DEFAULTS } from '../../../../lib/engine/options.js';
import type { EndedAttempt } from '../../../../lib/engine/worker/attempt.js';
import { BatchPool } from '../../../../lib/engine/worker/batch-pool.js';
import type { JobNotes } from '../../../../lib/engine/worker/job-notes.js';
import type { StepStore } from '../../../../lib/engine/worker/step-store.js';
import type { JobTransactions } from '../../../../lib/engine/worker/job-transactions.js';

/** Options of {@link testBatchPool}. */
export interface TestBatchPoolOptions {
  readonly size?: number;
  readonly waitMs?: number;
  readonly concurrency?: number;
  /** Throws, now or later, for payloads that are invalid. */
  readonly validate?: (payload: unknown) => void | Promise<void>;
  readonly handleBatch?: (jobs: JobBatch) => unknown;
}

/** A pool of batches without a worker around it: what it told is kept, and the ids of each batch that ran. */
export function testBatchPool({
  size = 3,
  waitMs = 0,
  concurrency = 2,
  validate,
  handleBatch = () => undefined,
}: TestBatchPoolOptions = {}) {
  const batches: string[][] = [];
  const started: string[] = [];
  const ended: EndedAttempt[] = [];
  const handler: BatchHandler = {
    queue: 'mail',
    label: 'mail',
    options: { ...QUEUE_DEFAULTS, concurrency, transactional: false },
    deadLetter: undefined,
    aliasOf: undefined,
    schema: validate && schemaOf(validate),
    batch: { size, waitMs },
    handleBatch: () => undefined,
  };
  const pool = new BatchPool(
    handler,
    {
      handleBatch: async (jobs) => {
        batches.push(jobs.map((job) => job.id));
        return handleBatch(jobs);
      },
      transactions: undefined as unknown as JobTransactions, // no handler here opens one
      notes: undefined as unknown as JobNotes, // nor says anything about its jobs
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
  return { pool, batches, started, ended };
}

function schemaOf(validate: NonNullable<TestBatchPoolOptions['validate']>): StandardSchema {
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value) => {
        await validate(value);
        return { value };
      },
    },
  };
}
