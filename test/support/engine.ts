import { onTestFinished } from 'vitest';
import { Taskmaster, type TaskmasterOptions } from '../../lib/engine/index.js';
import type { TestDatabase } from './test-database.js';

/** An engine on the database of a test, connected to nothing yet. It is closed after the test. */
export function engine(database: TestDatabase, options: Partial<TaskmasterOptions> = {}): Taskmaster {
  const taskmaster = new Taskmaster({
    connection: database.config,
    schema: database.schema,
    lease: { heartbeat: 'main' }, // a thread for each engine of each test would cost more than the tests
    ...options,
  });
  onTestFinished(() => taskmaster.close());
  return taskmaster;
}

/** The same, open: jobs can be enqueued. */
export async function openEngine(
  database: TestDatabase,
  options: Partial<TaskmasterOptions> = {},
): Promise<Taskmaster> {
  const taskmaster = engine(database, options);
  await taskmaster.open();
  return taskmaster;
}
