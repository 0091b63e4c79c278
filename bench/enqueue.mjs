import { Taskmaster } from '../dist/engine/index.js';

const payload = (number) => ({
  number,
  to: 'someone@example.com',
  template: 'welcome',
  locale: 'en',
  note: 'x'.repeat(30),
});

async function engineFor({ connection, client }) {
  const taskmaster = new Taskmaster({ connection });
  await taskmaster.open();
  await client.query('truncate taskmaster.jobs');
  return taskmaster;
}

/** Jobs a second with so many callers, each of which awaits its call before the next. */
export async function enqueueByCallers(database, callers, jobs) {
  const taskmaster = await engineFor(database);
  let next = 0;
  const caller = async () => {
    while (next < jobs) await taskmaster.publisher.enqueue('bench', payload(next++));
  };
  await taskmaster.publisher.enqueue('bench', payload(-1));
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  const rate = (jobs / (performance.now() - startedAt)) * 1_000;
  await taskmaster.close();
  return rate;
}

/** Jobs a second when all calls are made at once. */
export async function enqueueAtOnce(database, jobs) {
  const taskmaster = await engineFor(database);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: jobs }, (_, number) => taskmaster.publisher.enqueue('bench', payload(number))),
  );
  const rate = (jobs / (performance.now() - startedAt)) * 1_000;
  await taskmaster.close();
  return rate;
}

/** Jobs a second of one `enqueueMany`, and by how much it raised the memory of the process, in MB. */
export async function enqueueMany(database, jobs) {
  const taskmaster = await engineFor(database);
  const payloads = Array.from({ length: jobs }, (_, number) => payload(number));
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const startedAt = performance.now();
  await taskmaster.publisher.enqueueMany('bench', payloads);
  const rate = (jobs / (performance.now() - startedAt)) * 1_000;
  const megabytes = (process.memoryUsage().rss - before) / 1_048_576;
  await taskmaster.close();
  return { rate, megabytes };
}
