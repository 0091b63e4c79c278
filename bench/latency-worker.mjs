// The other process of latency.mjs: says when each job starts, by the machine's monotonic clock.
import { Taskmaster } from '../dist/engine/index.js';

const taskmaster = new Taskmaster({ connection: JSON.parse(process.argv[2]) });
taskmaster.register({
  queue: 'latency',
  label: 'latency',
  handle: () => process.send({ startedAt: String(process.hrtime.bigint()) }),
});
await taskmaster.start();
process.send({ ready: true });
process.on('message', () => void taskmaster.close().then(() => process.disconnect()));
