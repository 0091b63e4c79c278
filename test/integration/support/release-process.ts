/**
 * A process of one release of an application, for tests of deploys: its handler writes each run into the table `run`, and its payloads are of
 * the version of the release. Prints `ready`, `closed`. At SIGTERM it closes, at a second one without waiting.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Taskmaster, type Job, type TaskmasterOptions } from '../../../lib/engine/index.js';

/** The one argument, as JSON. */
export interface ReleaseProcessOptions {
  readonly taskmaster: TaskmasterOptions & { readonly connection: string };
  readonly release: 1 | 2;
}

/** What a payload is in each release. */
export type Payload =
  { readonly name: string; readonly hold?: boolean } | { readonly names: readonly string[] };

const { taskmaster: options, release } = JSON.parse(process.argv[2]!) as ReleaseProcessOptions;
const own = new pg.Pool({ connectionString: options.connection, max: 4 });

async function handle(payload: Payload, job: Job): Promise<void> {
  const fits = release === 1 ? 'name' in payload : 'names' in payload;
  await own.query('insert into run (job, attempt, release, fits) values ($1, $2, $3, $4)', [
    job.id,
    job.runCount,
    release,
    fits,
  ]);
  await ('hold' in payload && payload.hold === true ? new Promise(() => {}) : delay(Math.random() * 20));
}

const versions =
  release === 1
    ? {}
    : { version: 2, upcasters: { 1: ({ name }: { name: string }) => ({ names: [name] }) as never } };
const taskmaster = new Taskmaster(options);
taskmaster.register({
  queue: 'mail',
  label: `release ${release}`,
  handle,
  options: { concurrency: 8, backoff: 50, ...versions },
});
process.once('SIGTERM', () => {
  process.once('SIGTERM', () => taskmaster.forceStop());
  void taskmaster
    .close()
    .then(() => own.end())
    .then(() => console.log('closed'));
});
await taskmaster.start();
console.log('ready');
