import type { TestDatabase } from '../../support/test-database.js';

/** The table of the original, its index and its trigger, which notifies a channel named like the queue for each row. */
const ORIGINAL = `
  create table taskmaster_jobs (
    id         bigserial primary key,
    queue_name text not null check (length(queue_name) > 0),
    payload    jsonb not null,
    locked_at  timestamp,
    locked_by  integer,
    run_count  integer default 0,
    created_at timestamptz default now()
  );
  create index taskmaster_jobs_ready on taskmaster_jobs (queue_name, id, run_count) where locked_at is null;
  create function taskmaster_jobs_notify() returns trigger language plpgsql as $$
  begin
    perform pg_notify(new.queue_name, '');
    return null;
  end $$;
  create trigger taskmaster_jobs_notify after insert on taskmaster_jobs
    for each row execute function taskmaster_jobs_notify()`;

/** Creates the table of the original, as `taskmaster_jobs` in the schema `public`. */
export async function createOriginalTable(database: TestDatabase): Promise<void> {
  await database.query(ORIGINAL);
}
