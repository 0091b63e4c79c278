import { Taskmaster } from '../dist/engine/index.js';

/**
 * Jobs a second from the start of the worker until the last of them is acked and deleted: no-op handlers, every ack durable.
 */
export async function drain({ connection, client }, { jobs, concurrency, observed }) {
  const taskmaster = new Taskmaster({ connection });
  let left = jobs;
  const handled = new Promise((resolve) => {
    taskmaster.register({
      queue: 'bench',
      label: 'bench',
      options: { concurrency },
      handle: () => {
        left -= 1;
        if (left === 0) resolve();
      },
    });
  });
  await taskmaster.open();
  await client.query('truncate taskmaster.jobs');
  await taskmaster.publisher.enqueueMany(
    'bench',
    Array.from({ length: jobs }, (_, number) => ({
      number,
      to: 'someone@example.com',
      note: 'x'.repeat(60),
    })),
  );
  await client.query('checkpoint');
  if (observed) taskmaster.events.subscribe(() => {});
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await taskmaster.start();
  await handled;
  await taskmaster.stop(); // resolves when every ack is stored
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { rows } = await client.query('select count(*)::int as left from taskmaster.jobs');
  if (rows[0].left !== 0) throw new Error(`${rows[0].left} jobs were handled and not acked`);
  await taskmaster.close();
  return { rate: jobs / seconds, nodeMicroseconds: (user + system) / jobs };
}
