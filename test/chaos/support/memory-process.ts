/** Runs many jobs in quarters, and prints `heap <megabytes>` after each, when what is garbage is gone. Takes url, schema and number. */
import { setTimeout as delay } from 'node:timers/promises';
import { Taskmaster } from '../../../lib/engine/index.js';

const { url, schema, jobs } = JSON.parse(process.argv[2]!) as { url: string; schema: string; jobs: number };
const taskmaster = new Taskmaster({ connection: url, schema });
let done = 0;
const reached = (count: number) => done >= count;
taskmaster.register({
  queue: 'mail',
  label: 'mail',
  options: { concurrency: 100 },
  handle: () => void (done += 1),
});
await taskmaster.start();
for (let quarter = 1; quarter <= 4; quarter += 1) {
  for (let chunk = 0; chunk < 10; chunk += 1)
    await taskmaster.publisher.enqueueMany(
      'mail',
      Array.from({ length: jobs / 40 }, (_, n) => ({ n, text: 'x'.repeat(100) })),
    );
  while (!reached((jobs / 4) * quarter)) await delay(20);
  await delay(500);
  globalThis.gc!();
  console.log(`heap ${(process.memoryUsage().heapUsed / 2 ** 20).toFixed(1)}`);
}
await taskmaster.close();
