import { Taskmaster } from '../dist/engine/index.js';

/** Milliseconds for the overview of a table full of jobs of five queues, the look at the queues included. */
export async function overview({ connection, client }, { jobs, samples }) {
  const taskmaster = new Taskmaster({ connection });
  await taskmaster.open();
  await client.query('truncate taskmaster.jobs');
  await client.query(
    `insert into taskmaster.jobs (queue_name, payload, run_at, failed_at, run_count, last_error)
     select 'queue ' || n % 5, '{"to": "someone@example.com"}',
            case when n % 10 = 0 then 'infinity' when n % 10 = 1 then now() + interval '1 day' end,
            case when n % 10 = 0 then now() end, case when n % 10 = 0 then 1 else 0 end,
            case when n % 10 = 0 then '{"name": "Error", "message": "no"}'::jsonb end
       from generate_series(1, $1::integer) as n`,
    [jobs],
  );
  await client.query('vacuum analyze taskmaster.jobs');
  const times = [];
  for (let sample = 0; sample < samples; sample += 1) {
    const startedAt = performance.now();
    await taskmaster.admin.stats.overview({ maxAgeMs: 0 });
    times.push(performance.now() - startedAt);
  }
  await client.query('truncate taskmaster.jobs');
  await taskmaster.close();
  return times;
}
