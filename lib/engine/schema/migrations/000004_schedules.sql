-- Schedules: what is to be enqueued when. Every process that works plans and fires them, without a leader: see fire_schedules().

create table {{schema}}.schedules (
  name          text collate "C" primary key check (octet_length(name) between 1 and 128),
  queue_name    text collate "C" not null check (octet_length(queue_name) between 1 and 128),
  -- Either a cron expression, evaluated in `timezone`, or an interval: due every so often after `anchor_at`.
  cron          text check (length(cron) between 1 and 256),
  every_ms      bigint check (every_ms >= 1000),
  timezone      text not null default 'UTC',
  anchor_at     timestamptz not null default now(),
  payload       jsonb not null default '{}',
  -- Options of its jobs, as enqueue() takes them: priority, maxAttempts, timeoutMs, backoff, tags, headers.
  options       jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
  missed        text not null default 'once' check (missed in ('skip', 'once', 'all')),
  overlap       text not null default 'allow' check (overlap in ('allow', 'skip', 'queue')),
  -- code: by the code of an application; runtime: by the admin or by SQL.
  owner         text not null default 'runtime' check (owner in ('code', 'runtime')),
  -- Hash of what the code said when that was last taken over, and when a process last said that it still does.
  code_hash     text,
  code_seen_at  timestamptz,
  -- When a definition of code was last changed at run time.
  edited_at     timestamptz,
  -- -infinity: to be planned by whoever looks next; infinity: never.
  next_run_at   timestamptz not null default '-infinity',
  -- The latest due time that is dealt with: neither it nor an earlier one ever fires again, whatever clocks do.
  last_due_at   timestamptz,
  last_run_at   timestamptz,
  last_job_id   bigint,
  paused_at     timestamptz,
  pause_reason  text,
  -- Why it cannot be planned.
  problem       text,
  -- Goes up with every change: who plans or fires says what state that is based on.
  revision      bigint not null default 0,
  created_at    timestamptz not null default now(),
  check (num_nonnulls(cron, every_ms) = 1)
) with (fillfactor = 50);
create index schedules_next on {{schema}}.schedules (next_run_at) where paused_at is null;

-- Jobs of schedules that may still be alive. A waiting one is parked until those before it have ended.
create table {{schema}}.schedule_jobs (
  job_id   bigint primary key,
  schedule text collate "C" not null,
  due_at   timestamptz not null,
  waiting  boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);
create index schedule_jobs_schedule on {{schema}}.schedule_jobs (schedule, job_id);
create index schedule_jobs_waiting on {{schema}}.schedule_jobs (schedule, job_id) where waiting;

-- Another timing, whoever writes it, is planned anew; a due time that has passed unfired stays due. An end of a pause is planned from then on.
create function {{schema}}.schedule_changed() returns trigger language plpgsql as $$
begin
  new.revision := old.revision + 1;
  if (new.cron, new.every_ms, new.timezone) is distinct from (old.cron, old.every_ms, old.timezone) then
    if new.every_ms is distinct from old.every_ms and new.anchor_at = old.anchor_at then
      new.anchor_at := now();
    end if;
    if new.next_run_at = old.next_run_at and old.next_run_at > now() then
      new.next_run_at := '-infinity';
    end if;
    new.problem := null;
  end if;
  if new.paused_at is not null and old.paused_at is null then
    new.next_run_at := '-infinity';
  end if;
  return new;
end $$;
-- Not for code_seen_at: whoever fires needs not look again because of it.
create trigger schedule_changed before update of queue_name, cron, every_ms, timezone, anchor_at, payload, options, missed, overlap, owner, code_hash,
    edited_at, next_run_at, last_due_at, last_run_at, last_job_id, paused_at, pause_reason, problem on {{schema}}.schedules
  for each row execute function {{schema}}.schedule_changed();

-- Rings the bell of scheduled jobs when something may be due earlier than those who sleep believe.
create function {{schema}}.schedule_bell() returns trigger language plpgsql as $$
begin
  perform {{schema}}.ring('');
  return null;
end $$;
create trigger schedule_added after insert on {{schema}}.schedules
  for each row execute function {{schema}}.schedule_bell();
create trigger schedule_hastened after update of next_run_at, paused_at, cron, every_ms, timezone on {{schema}}.schedules
  for each row when (new.paused_at is null and (old.paused_at is not null or new.next_run_at < old.next_run_at))
  execute function {{schema}}.schedule_bell();

-- Enqueues the job of a schedule, whose row the caller has locked, for a due time. null: not now, an earlier one is still alive (overlap).
create function {{schema}}.schedule_job(wanted {{schema}}.schedules, due timestamptz) returns bigint language plpgsql as $$
declare
  alive boolean;
  stored bigint;
begin
  alive := wanted.overlap <> 'allow' and exists (
    select from {{schema}}.schedule_jobs as earlier join {{schema}}.jobs as job on job.id = earlier.job_id
     where earlier.schedule = wanted.name and job.failed_at is null);
  if alive and wanted.overlap = 'skip' then
    return null;
  end if;
  insert into {{schema}}.jobs (queue_name, payload, run_at, priority, max_attempts, meta)
  values (wanted.queue_name, wanted.payload, case when alive then 'infinity'::timestamptz end,
          coalesce((wanted.options ->> 'priority')::smallint, 0::smallint), (wanted.options ->> 'maxAttempts')::integer,
          (wanted.options - '{priority,maxAttempts}'::text[]) || jsonb_build_object('schedule', wanted.name, 'scheduledFor', due))
  returning id into stored;
  -- Each job makes room: the table stays as small as what is alive.
  delete from {{schema}}.schedule_jobs as earlier
   where earlier.job_id in (select oldest.job_id from {{schema}}.schedule_jobs as oldest where oldest.schedule = wanted.name order by oldest.job_id limit 10)
     and not exists (select from {{schema}}.jobs as job where job.id = earlier.job_id and job.failed_at is null);
  insert into {{schema}}.schedule_jobs (job_id, schedule, due_at, waiting) values (stored, wanted.name, due, alive);
  return stored;
end $$;

-- Plans and fires: `[{ n: name, r: revision, t: next due time, d: [due times], p: problem }]`. All of a schedule's jobs and its move to the next due
-- time are one transaction, and only the first of those who come with the same revision does it. A schedule that is locked, or was changed
-- since, is left alone. A row for each due time; one without due time for a schedule that was only planned. A due time that finds
-- the queue full (see 000014) is skipped.
create function {{schema}}.fire_schedules(firings json)
returns table (schedule text, queue text, due timestamptz, job bigint) language plpgsql as $$
declare
  firing record;
  wanted {{schema}}.schedules;
  limited boolean;
begin
  for firing in
    select f ->> 'n' as name, (f ->> 'r')::bigint as revision, (f ->> 't')::timestamptz as next, f ->> 'p' as problem,
           array(select d::timestamptz from json_array_elements_text(f -> 'd') as d order by 1) as dues
      from json_array_elements(firings) as f order by 1
  loop
    select s.* into wanted from {{schema}}.schedules as s
     where s.name = firing.name and s.revision = firing.revision and s.paused_at is null
       for update skip locked;
    -- The clock has been set back since they were read.
    continue when not found or firing.dues[cardinality(firing.dues)] > now();
    limited := firing.dues <> '{}' and exists (select from {{schema}}.queues as q where q.name = wanted.queue_name and q.max_pending is not null);
    -- Somebody enqueues there and has not committed: it stays due.
    continue when limited and not {{schema}}.hold_gate(wanted.queue_name);
    schedule := wanted.name;
    queue := wanted.queue_name;
    due := null;
    job := null;
    foreach due in array firing.dues loop
      continue when due <= wanted.last_due_at;
      job := case when limited then {{schema}}.schedule_job_if_room(wanted, due) else {{schema}}.schedule_job(wanted, due) end;
      wanted.last_due_at := due;
      if job is not null then
        wanted.last_run_at := now();
        wanted.last_job_id := job;
      end if;
      return next;
    end loop;
    if due is null then
      return next;
    end if;
    update {{schema}}.schedules as s
       set next_run_at = firing.next, last_due_at = wanted.last_due_at, last_run_at = wanted.last_run_at, last_job_id = wanted.last_job_id,
           problem = firing.problem
     where s.name = wanted.name;
  end loop;
end $$;

-- Lets waiting jobs run whose turn it is: those before them have ended. A row for each.
create function {{schema}}.release_schedule_jobs() returns table (queue text, job bigint) language plpgsql as $$
declare
  candidate text;
  head bigint;
begin
  for candidate in select distinct w.schedule from {{schema}}.schedule_jobs as w where w.waiting order by 1 loop
    loop
      select w.job_id into head from {{schema}}.schedule_jobs as w
       where w.schedule = candidate and w.waiting order by w.job_id limit 1 for update skip locked;
      exit when not found;
      -- Looked at after the lock: by a snapshot that sees what whoever held it has done.
      exit when exists (
        select from {{schema}}.schedule_jobs as earlier join {{schema}}.jobs as j on j.id = earlier.job_id
         where earlier.schedule = candidate and earlier.job_id <> head and not earlier.waiting and j.failed_at is null)
        or exists (select from {{schema}}.schedule_jobs as w where w.schedule = candidate and w.waiting and w.job_id < head);
      update {{schema}}.jobs as j set run_at = null, ready_at = now(), seq = nextval('{{schema}}.jobs_seq')
       where j.id = head and j.run_at = 'infinity' and j.failed_at is null
      returning j.queue_name into queue;
      if found then
        update {{schema}}.schedule_jobs as w set waiting = false where w.job_id = head;
        perform {{schema}}.ring(queue);
        job := head;
        return next;
        exit;
      end if;
      -- Deleted, cancelled, or set free by somebody else.
      update {{schema}}.schedule_jobs as w set waiting = false where w.job_id = head;
    end loop;
  end loop;
end $$;

-- Fires a schedule now, paused or not, whatever is due when. Answers with the job's id; null: `overlap` is `skip` and an earlier job is still alive.
create function {{schema}}.trigger_schedule(name text) returns bigint language plpgsql as $$
declare
  wanted {{schema}}.schedules;
  stored bigint;
begin
  select s.* into wanted from {{schema}}.schedules as s where s.name = trigger_schedule.name for update;
  if not found then
    raise exception 'there is no schedule of this name' using errcode = 'P0002';
  end if;
  stored := {{schema}}.schedule_job(wanted, clock_timestamp());
  if stored is not null then
    update {{schema}}.schedules as s set last_run_at = clock_timestamp(), last_job_id = stored where s.name = wanted.name;
  end if;
  return stored;
end $$;
