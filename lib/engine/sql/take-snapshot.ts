import type { Statement } from './statement.js';
import { beginSnapshot, lookAtQueues, storeSnapshot } from './stats.js';

/** Runs a statement, wherever the caller does that. */
export type RunStatement = <Args, Row>(statement: Statement<Args, Row>, args: Args) => Promise<Row[]>;

/** Where each count stops. */
const COUNT_UP_TO = 10_000;
const MOST_QUEUES = 1_000;

/** Looks at what the queues hold and stores it, unless somebody has within so many milliseconds. Answers whether it did. */
export async function takeSnapshot(run: RunStatement, olderThanMs: number): Promise<boolean> {
  const [row] = await run(beginSnapshot, { olderThanMs });
  if (row?.begun !== true) return false;
  const [looked] = await run(lookAtQueues, { most: COUNT_UP_TO, queues: MOST_QUEUES });
  await run(storeSnapshot, { queues: looked?.queues ?? '[]' });
  return true;
}
