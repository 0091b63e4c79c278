-- Schedules: what is to be enqueued when. Whoever is first fires: see fire_schedules().

create table {{schema}}.schedules (
  name          text collate "C" primary key check (octet_length(name) between 1 and 128),
  queue_name    text collate "C" not null check (octet_length(queue_name) between 1 and 128),
  -- Either a cron expression, evaluated in `timezone`, or an interval from `anchor_at` on.
  cron          text check (length(cron) between 1 and 256),
  every_ms      bigint check (every_ms >= 1000),
  timezone      text not null default 'UTC',
  anchor_at     timestamptz not null default now(),
  payload       jsonb not null default '{}',
  -- Options of its jobs, as of enqueue(): priority, maxAttempts, timeoutMs, backoff, tags, headers.
  options       jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
  missed        text not null default 'once' check (missed in ('skip', 'once', 'all')),
  overlap       text not null default 'allow' check (overlap in ('allow', 'skip', 'queue')),
  -- code: defined by a running application; runtime: by the admin API or by SQL.
  owner         text not null default 'runtime' check (owner in ('code', 'runtime')),
  -- What the code said when it was last taken over, and when a process last said that it still does.
  code_hash     text,
  code_seen_at  timestamptz,
  -- null: to be planned by the next process that looks; infinity: never again.
  next_run_at   timestamptz,
  -- The latest due time that was fired: an earlier one never is.
  last_due_at   timestamptz,
  last_run_at   timestamptz,
  last_job_id   bigint,
  paused_at     timestamptz,
  pause_reason  text,
  -- Why it cannot be planned.
  problem       text,
  -- Goes up with every change: whoever fires or plans says of which state it read.
  revision      bigint not null default 0,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  check (num_nonnulls(cron, every_ms) = 1)
) with (fillfactor = 50);
create index schedules_due on {{schema}}.schedules (next_run_at) where paused_at is null;
