import type { TaskmasterOptions } from '../../../lib/engine/index.js';
import { childProcess, type ChildProcessOptions, type TestProcess } from '../../support/child-process.js';
import type { TestDatabase } from '../../support/test-database.js';
import type { WorkerProcessOptions } from './worker-process.js';
import { SHORT_LEASE } from './working-engine.js';

const SCRIPT = new URL('./worker-process.ts', import.meta.url);

/** Starts `worker-process.ts` on a database. It is killed after the test if it still runs. */
export function workerChild(
  database: TestDatabase,
  options: Omit<WorkerProcessOptions, 'taskmaster'>,
  taskmaster: Partial<TaskmasterOptions> = {},
  child: Omit<ChildProcessOptions, 'args'> = {},
): TestProcess {
  const all: WorkerProcessOptions = {
    ...options,
    taskmaster: { connection: database.url, schema: database.schema, lease: SHORT_LEASE, ...taskmaster },
  };
  return childProcess(SCRIPT, { ...child, args: [JSON.stringify(all)] });
}

/** The lines of a child that begin with a word. */
export function linesOf(child: TestProcess, word: string): string[] {
  return child.stdout.values.filter((line) => line.startsWith(`${word} `));
}
