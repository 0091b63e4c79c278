/**
 * A process with an engine whose handler has steps, for tests of what becomes of them when it is killed. The payload says where it kills itself:
 * `inStep`, `afterStep` or `asleep`. Each step is a row of the table `effects`.
 */
import { Taskmaster, type Job, type TaskmasterOptions } from '../../../lib/engine/index.js';

const { taskmaster: options, maxAttempts } = JSON.parse(process.argv[2]!) as {
  readonly taskmaster: TaskmasterOptions;
  readonly maxAttempts: number;
};
const taskmaster = new Taskmaster(options);

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

async function effect(job: Job<unknown>, what: string): Promise<void> {
  await taskmaster.pool.query('insert into effects (job_id, what) values ($1, $2)', [job.id, what]);
}

taskmaster.register({
  queue: 'mail',
  label: 'steps process',
  options: { maxAttempts },
  handle: async ({ dies }: { dies: string }, job: Job) => {
    await job.step('first', () => effect(job, 'first'));
    if (dies === 'afterStep') await die();
    await job.step('second', async () => {
      await effect(job, 'second');
      if (dies === 'inStep') await die();
    });
    try {
      await job.sleep(3_600_000);
    } finally {
      if (dies === 'asleep') await die();
    }
  },
});
await taskmaster.start();
console.log('ready');
