import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Taskmaster } from '../dist/engine/index.js';

/** Between two jobs: long enough for the worker to fall asleep again. */
const IDLE_MS = 130;

const milliseconds = (from, to) => Number(to - from) / 1e6;

/** From the call of `publish` to the start of the handler in another, idle process, in ms. */
export async function latencyAcrossProcesses(connection, samples, publish) {
  const worker = fork(new URL('./latency-worker.mjs', import.meta.url), [JSON.stringify(connection)]);
  await once(worker, 'message');
  const measured = [];
  for (let sample = -5; sample < samples; sample += 1) {
    await pause(IDLE_MS);
    const started = once(worker, 'message');
    const from = process.hrtime.bigint();
    await publish();
    const [{ startedAt }] = await started;
    if (sample >= 0) measured.push(milliseconds(from, BigInt(startedAt)));
  }
  const ended = once(worker, 'exit');
  worker.send('stop');
  await ended;
  return measured;
}

/** The same in one process. */
export async function latencyInProcess(connection, samples) {
  const taskmaster = new Taskmaster({ connection });
  let onStart = () => {};
  taskmaster.register({ queue: 'latency', label: 'latency', handle: () => onStart() });
  await taskmaster.start();
  const measured = [];
  for (let sample = -5; sample < samples; sample += 1) {
    await pause(IDLE_MS);
    const started = new Promise((resolve) => (onStart = () => resolve(process.hrtime.bigint())));
    const from = process.hrtime.bigint();
    await taskmaster.publisher.enqueue('latency', { sample });
    const to = await started;
    if (sample >= 0) measured.push(milliseconds(from, to));
  }
  await taskmaster.close();
  return measured;
}
