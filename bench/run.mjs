// `npm run bench [-- --quick] [-- --json]`: what the engine does on this machine, durable commits, one PostgreSQL of its own.
import { cpus } from 'node:os';
import { Taskmaster } from '../dist/engine/index.js';
import { benchDatabase } from './bench-database.mjs';
import { drain } from './drain.mjs';
import { enqueueAtOnce, enqueueByCallers, enqueueMany } from './enqueue.mjs';
import { idleStatements } from './idle.mjs';
import { latencyAcrossProcesses, latencyInProcess } from './latency.mjs';
import { overview } from './overview.mjs';
import { quantile, spread } from './statistics.mjs';

const quick = process.argv.includes('--quick');
const json = process.argv.includes('--json');
const ROUNDS = quick ? 1 : 3;
const JOBS = quick ? 20_000 : 100_000;
const SAMPLES = quick ? 50 : 300;

const rows = [];

function report(measure, unit, samples, digits = 0) {
  rows.push({ measure, unit, samples });
  if (json) return console.log(JSON.stringify({ measure, unit, samples }));
  return console.log(`| ${measure} | ${spread(samples, digits)} ${unit} |`);
}

function reportLatency(measure, samples) {
  rows.push({ measure, unit: 'ms', samples });
  if (json) return console.log(JSON.stringify({ measure, unit: 'ms', samples }));
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(samples, share).toFixed(1));
  return console.log(
    `| ${measure} | p50 ${p50}, p95 ${p95}, p99 ${p99}, max ${Math.max(...samples).toFixed(1)} ms |`,
  );
}

async function rounds(measure) {
  const results = [];
  for (let round = 0; round < ROUNDS; round += 1) results.push(await measure());
  return results;
}

const database = await benchDatabase();
try {
  const { connection, client, settings } = database;
  if (!json) {
    console.log(
      `${new Date().toISOString()}, ${cpus().length} x ${cpus()[0].model}, Node ${process.version}, PostgreSQL ${settings.version}`,
    );
    console.log(
      `fsync ${settings.fsync}, synchronous_commit ${settings.durable}; median (least to most) of ${ROUNDS} rounds\n`,
    );
    console.log('| measure | result |\n|---|---|');
  }
  const warmUp = new Taskmaster({ connection });
  await warmUp.open();
  await warmUp.close();

  report(
    'enqueue, one caller',
    'jobs/s',
    await rounds(() => enqueueByCallers(database, 1, quick ? 500 : 2_000)),
  );
  report(
    'enqueue, 10 callers',
    'jobs/s',
    await rounds(() => enqueueByCallers(database, 10, quick ? 4_000 : 20_000)),
  );
  report(
    'enqueue, 100 callers',
    'jobs/s',
    await rounds(() => enqueueByCallers(database, 100, quick ? 8_000 : 40_000)),
  );
  report('enqueue, 20,000 calls at once', 'jobs/s', await rounds(() => enqueueAtOnce(database, 20_000)));
  const many = await rounds(() => enqueueMany(database, JOBS));
  report(
    `enqueueMany of ${JOBS.toLocaleString('en')}`,
    'jobs/s',
    many.map((each) => each.rate),
  );
  report(
    '  memory it took',
    'MB',
    many.map((each) => each.megabytes),
  );

  for (const concurrency of [1, 10, 50]) {
    const drained = await rounds(() => drain(database, { jobs: JOBS, concurrency, observed: false }));
    report(
      `drain ${JOBS.toLocaleString('en')} no-op jobs, concurrency ${concurrency}`,
      'jobs/s',
      drained.map((each) => each.rate),
    );
    report(
      '  CPU of the Node process',
      'us/job',
      drained.map((each) => each.nodeMicroseconds),
      1,
    );
  }
  report(
    'the same, concurrency 10, events observed',
    'jobs/s',
    (await rounds(() => drain(database, { jobs: JOBS, concurrency: 10, observed: true }))).map(
      (each) => each.rate,
    ),
  );

  reportLatency('enqueue to start, same process', await latencyInProcess(connection, SAMPLES));
  const publisher = new Taskmaster({ connection });
  await publisher.open();
  reportLatency(
    'enqueue to start, other process',
    await latencyAcrossProcesses(connection, SAMPLES, () => publisher.publisher.enqueue('latency', {})),
  );
  await publisher.close();
  const insert = () =>
    client.query(`insert into taskmaster.jobs (queue_name, payload) values ('latency', '{}')`);
  reportLatency(
    'plain SQL insert to start, other process',
    await latencyAcrossProcesses(connection, SAMPLES, insert),
  );
  report(
    'idle worker of 10 queues',
    'transactions/s',
    [await idleStatements(database, 10, quick ? 10 : 60)],
    2,
  );
  reportLatency(
    `overview of ${(JOBS * 10).toLocaleString('en')} jobs`,
    await overview(database, { jobs: JOBS * 10, samples: SAMPLES / 10 }),
  );
} finally {
  await database.stop();
}
