import { setTimeout as pause } from 'node:timers/promises';
import { Taskmaster } from '../dist/engine/index.js';

/** Transactions a second that a worker of so many idle queues causes, once it has been idle for a while; other sessions are idle too. */
export async function idleStatements({ connection, client }, queues, seconds) {
  const taskmaster = new Taskmaster({ connection });
  for (let queue = 0; queue < queues; queue += 1)
    taskmaster.register({ queue: `idle_${queue}`, label: 'idle', handle: () => {} });
  await taskmaster.start();
  await pause(20_000);
  const count = async () => {
    await client.query('select pg_stat_clear_snapshot()');
    const { rows } = await client.query(
      'select xact_commit::int as commits from pg_stat_database where datname = current_database()',
    );
    return rows[0].commits;
  };
  const before = await count();
  await pause(seconds * 1_000);
  const statements = (await count()) - before - 2;
  await taskmaster.close();
  return statements / seconds;
}
