-- What people and tools need: who works on what, what a queue holds, why a job does not run, and many jobs cancelled or removed at once.

alter table {{schema}}.workers
  -- The release of the library.
  add column version  text,
  -- What it works on: for each queue, how many jobs may run there at once.
  add column queues   jsonb not null default '{}',
  -- It takes nothing new, and ends when what runs has ended.
  add column draining boolean not null default false,
  -- What it was told to do: four times the number of orders so far, plus 0 work, 1 be quiet, 2 stop. Told by notification; in the answer to
  -- every heartbeat too, and whoever has heard a later one disregards an earlier one.
  add column orders   integer not null default 0;

-- Tells a worker what to do: 0 work, 1 be quiet, 2 stop. It reads its row with every heartbeat, and when this notification tells it to. False: no such
-- worker is alive, or it has been told to stop, which cannot be taken back.
create function {{schema}}.order_worker(worker integer, next integer) returns boolean language plpgsql as $$
begin
  update {{schema}}.workers as w set orders = (w.orders / 4 + 1) * 4 + next
   where w.id = worker and w.expires_at > now() and not w.draining and w.orders % 4 <> 2;
  if not found then
    return false;
  end if;
  perform pg_notify('{{channel}}', E'\x01worker:' || worker) where pg_notification_queue_usage() < 0.5;
  return true;
end $$;

-- Jobs that wait for a time or for other jobs, by queue. Neither an insert of a ready job nor its ack touches it.
create index jobs_waiting on {{schema}}.jobs (queue_name, run_at) where run_at is not null and failed_at is null;

-- When it was enqueued again, see reprocess().
alter table {{schema}}.finished add column reprocessed_at timestamptz;
create or replace view {{schema}}.finished_jobs as select * from {{schema}}.finished where expires_at > now();

-- Pause and resume -----------------------------------------------------------------------------------------------------------
-- As before; and a pause that is over does not say since when a new one is.
create or replace function {{schema}}.pause(queue text, until timestamptz default null, reason text default null, by_whom text default current_user)
returns void language plpgsql as $$
begin
  insert into {{schema}}.queues as q (name, paused_at, paused_until, pause_reason, paused_by) values (queue, now(), until, reason, by_whom)
  on conflict (name) do update
    set paused_at = case when coalesce(q.paused_until, 'infinity') > now() then coalesce(q.paused_at, excluded.paused_at) else excluded.paused_at end,
        paused_until = excluded.paused_until, pause_reason = excluded.pause_reason, paused_by = excluded.paused_by;
  perform pg_notify('{{channel}}', E'\x01paused:' || queue) where pg_notification_queue_usage() < 0.5;
end $$;

-- As before; and it answers whether the queue was paused until now.
drop function {{schema}}.resume(text);
create function {{schema}}.resume(queue text) returns boolean language plpgsql as $$
declare
  was_paused boolean;
begin
  select coalesce(q.paused_until, 'infinity') > now() into was_paused
    from {{schema}}.queues as q where q.name = queue and q.paused_at is not null for update;
  if not found then
    return false;
  end if;
  update {{schema}}.queues set paused_at = null, paused_until = null, pause_reason = null, paused_by = null where name = queue;
  perform pg_notify('{{channel}}', E'\x01resumed:' || queue) where pg_notification_queue_usage() < 0.5;
  return was_paused;
end $$;

-- Many jobs at once ------------------------------------------------------------------------------------------------------------
-- Cancels a job whose lanes are held, see hold_lanes().
create function {{schema}}.cancel_held(job_id bigint) returns text language plpgsql as $$
declare
  found_job {{schema}}.jobs;
begin
  select * into found_job from {{schema}}.jobs as j where j.id = job_id for update;
  if not found or found_job.failed_at is not null then
    return 'none';
  end if;
  if exists (select from {{schema}}.leases as l where l.queue_name = found_job.queue_name and found_job.seq = any (l.seqs)) then
    update {{schema}}.jobs set flags = flags | 4 where id = job_id;
    perform pg_notify('{{channel}}', E'\x01cancel:' || job_id) where pg_notification_queue_usage() < 0.5;
    return 'aborting';
  end if;
  perform {{schema}}.end_waiting(job_id, 'cancelled', '{"name": "Cancelled", "code": "TM_CANCELLED", "message": "cancelled before it ran"}');
  return 'cancelled';
end $$;

create or replace function {{schema}}.cancel(job_id bigint) returns text language plpgsql as $$
begin
  perform {{schema}}.hold_lanes(array[job_id]);
  return {{schema}}.cancel_held(job_id);
end $$;

-- Cancels these jobs, in one transaction: each as cancel() does, in the order of their ids.
create function {{schema}}.cancel_jobs(job_ids bigint[]) returns table (id bigint, outcome text) language plpgsql as $$
begin
  perform {{schema}}.hold_lanes(job_ids);
  for id in select distinct wanted.id from unnest(job_ids) as wanted(id) order by 1 loop
    outcome := {{schema}}.cancel_held(id);
    return next;
  end loop;
end $$;

-- Deletes those of these jobs that nobody runs.
create function {{schema}}.remove_jobs(job_ids bigint[]) returns table (id bigint) language plpgsql as $$
begin
  perform {{schema}}.hold_lanes(job_ids);
  return query
    delete from {{schema}}.jobs as job
     where job.id = any (job_ids)
       and not (job.run_at is null
                and exists (select from {{schema}}.leases as lease
                             where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
    returning job.id;
end $$;

-- Enqueues jobs that have ended and are kept once more, as new jobs; each once, and not what was enqueued so itself, unless `again`. What is kept stays. `payloads`, where there is
-- one, replaces that of the job at the same place. The new job has the queue, group, priority and meta of the old one, and no unique key,
-- dependencies, batch, maxAttempts or expiry: those are not kept.
create function {{schema}}.reprocess(job_ids bigint[], payloads jsonb[], again boolean default false)
returns table (id bigint, new_id bigint, queue text) language plpgsql as $$
begin
  return query
    with wanted as materialized (
      select w.job_id, w.payload from unnest(job_ids, payloads) as w(job_id, payload)
    ), marked as (
      update {{schema}}.finished as ended set reprocessed_at = now()
        from wanted
       where ended.id = wanted.job_id and ended.expires_at > now() and (again or ended.reprocessed_at is null and not coalesce(ended.meta ? 'reprocessed', false))
      returning ended.id, ended.queue_name, ended.state, ended.run_count, ended.priority, ended.group_key, ended.finished_at, ended.meta,
                coalesce(wanted.payload, ended.payload) as payload
    ), anew as materialized (
      select marked.*, nextval('{{schema}}.jobs_id_seq') as next_id from marked order by marked.id
    ), stored as (
      insert into {{schema}}.jobs (id, queue_name, payload, priority, group_key, meta)
      select anew.next_id, anew.queue_name, anew.payload, anew.priority, anew.group_key,
             (case when jsonb_typeof(anew.meta) = 'object' then {{schema}}.unbatched(anew.meta) - 'granted' else '{}' end)
             || jsonb_build_object('reprocessed', jsonb_build_object(
                  'id', anew.id::text, 'state', anew.state, 'attempts', anew.run_count, 'finishedAt', anew.finished_at))
        from anew
    )
    select anew.id, anew.next_id, anew.queue_name from anew;
end $$;

-- Queues -----------------------------------------------------------------------------------------------------------------------
-- The queues that are known of, after this name, in order: those with jobs, settings or lanes, and those that a live worker works on. A few
-- index probes for each, however many jobs they hold and whatever the planner believes of them.
create function {{schema}}.known_queues(after text, most integer) returns table (name text) language plpgsql stable
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
declare
  at_name text collate "C" := after;
begin
  for nth in 1 .. most loop
    select least(
      (select job.queue_name from {{schema}}.jobs as job
        where job.run_at is null and job.group_key is null and job.queue_name > at_name order by job.queue_name limit 1),
      (select job.queue_name from {{schema}}.jobs as job
        where job.run_at is null and job.group_key is not null and job.queue_name > at_name order by job.queue_name limit 1),
      (select job.queue_name from {{schema}}.jobs as job
        where job.run_at is not null and job.failed_at is null and job.queue_name > at_name order by job.queue_name limit 1),
      (select job.queue_name from {{schema}}.jobs as job
        where job.failed_at is not null and job.queue_name > at_name order by job.queue_name limit 1),
      (select known.name from {{schema}}.queues as known where known.name > at_name order by known.name limit 1),
      (select lane.queue_name from {{schema}}.lanes as lane where lane.queue_name > at_name order by lane.queue_name limit 1),
      (select min(served.name collate "C") from {{schema}}.workers as worker cross join lateral jsonb_object_keys(worker.queues) as served(name)
        where worker.expires_at > now() and served.name collate "C" > at_name))
      into at_name;
    exit when at_name is null;
    name := at_name;
    return next;
  end loop;
end $$;

-- The workers of a queue that are alive, and what they have to do with it: `slots` jobs may run there at once, `busy` are running.
create function {{schema}}.workers_of(queue text)
returns table (id integer, name text, state text, slots integer, busy integer) language sql stable as $$
  select worker.id, worker.name,
         case when worker.draining or worker.orders % 4 = 2 then 'draining' when worker.orders % 4 = 1 then 'quiet' else 'running' end,
         (worker.queues ->> workers_of.queue)::integer,
         (select count(*) from {{schema}}.leases as lease cross join lateral unnest(lease.seqs, lease.ids) as held(seq, id)
            join {{schema}}.jobs as job on job.id = held.id and job.seq = held.seq
           where lease.worker_id = worker.id and lease.queue_name = workers_of.queue)::integer
    from {{schema}}.workers as worker
   where worker.expires_at > now() and worker.queues ? workers_of.queue
$$;

-- Why a job does not run -------------------------------------------------------------------------------------------------------
-- What is known of a job that has not ended and of all that may hold it back, as one object; null for a job that is not there. Counts stop
-- where they do not matter any more.
create function {{schema}}.job_facts(job_id bigint) returns jsonb language plpgsql stable as $$
declare
  job {{schema}}.jobs;
  q {{schema}}.queues;
  facts jsonb;
  leased bigint[];
  slots integer;
  first_slots integer;
begin
  select * into job from {{schema}}.jobs as j where j.id = job_id;
  if not found then
    return (select jsonb_build_object('id', f.id::text, 'queue', f.queue_name, 'state', f.state, 'at', f.finished_at, 'attempts', f.run_count, 'error', f.error)
              from {{schema}}.finished_jobs as f where f.id = job_id limit 1);
  end if;
  select jsonb_build_object('workerId', worker_id, 'worker', worker.name, 'host', worker.host, 'pid', worker.pid, 'since', lease.claimed_at,
                            'alive', coalesce(worker.expires_at > now(), false))
    into facts
    from {{schema}}.leases as lease left join {{schema}}.workers as worker on worker.id = lease.worker_id
   where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs) and job.run_at is null
   limit 1;
  facts := jsonb_build_object(
    'id', job.id::text, 'queue', job.queue_name,
    'state', case when job.failed_at is not null then 'failed' when facts is not null then 'running' when job.run_at is null then 'ready'
                  when job.run_at = 'infinity' then 'blocked' else 'scheduled' end,
    'running', facts, 'cancelling', job.flags & 4 <> 0,
    'attempts', job.run_count, 'crashes', job.crash_count, 'at', job.failed_at, 'error', job.last_error,
    'isReady', job.run_at is null or job.run_at <= now(), 'runAt', nullif(job.run_at, 'infinity'),
    'expiredAt', case when job.expires_at <= now() then job.expires_at end, 'alone', job.run_alone);
  if facts ->> 'state' in ('failed', 'running') then
    return facts;
  end if;

  select * into q from {{schema}}.queues as known where known.name = job.queue_name;
  if q.paused_at is not null and coalesce(q.paused_until, 'infinity') > now() then
    facts := facts || jsonb_build_object('paused', jsonb_build_object('by', q.paused_by, 'since', q.paused_at, 'until', nullif(q.paused_until, 'infinity'), 'reason', q.pause_reason));
  end if;
  if q.held_until > now() then
    facts := facts || jsonb_build_object('heldUntil', q.held_until);
  end if;
  facts := facts || jsonb_build_object('workers', (
    select jsonb_build_object(
             'running', count(*) filter (where w.state = 'running'), 'quiet', count(*) filter (where w.state = 'quiet'),
             'draining', count(*) filter (where w.state = 'draining'),
             'slots', coalesce(sum(w.slots) filter (where w.state = 'running'), 0),
             'free', coalesce(sum(greatest(0, w.slots - w.busy)) filter (where w.state = 'running'), 0))
      from {{schema}}.workers_of(job.queue_name) as w));

  if job.run_at is not null then
    return facts || jsonb_strip_nulls(jsonb_build_object(
      'waits', (select jsonb_agg(jsonb_build_object('name', nullif(step.name, ''), 'event', step.event_name, 'until', step.wake_at) order by step.wake_at)
                  from {{schema}}.steps as step where job.flags & 8 <> 0 and step.job_id = job.id and step.token = job.seq and step.finished_at is null),
      'parents', (select jsonb_agg(jsonb_build_object('id', parent.parent_id::text, 'state', parent.state) order by parent.parent_id)
                    from (select dep.parent_id, case when p.id is null then 'ended' when p.failed_at is not null then 'failed' else 'pending' end as state
                            from {{schema}}.dependencies as dep left join {{schema}}.jobs as p on p.id = dep.parent_id
                           where job.wait_count > 0 and dep.child_id = job.id and dep.outcome is null order by dep.parent_id limit 10) as parent),
      'parentsLeft', case when job.wait_count > 0 then job.wait_count end,
      'leftVersion', job.left_version,
      'schedule', (select jsonb_build_object('name', mine.schedule, 'after', (
                            select max(other.job_id)::text from {{schema}}.schedule_jobs as other
                             where other.schedule = mine.schedule and other.job_id < mine.job_id))
                     from {{schema}}.schedule_jobs as mine where mine.job_id = job.id and mine.waiting)));
  end if;

  leased := array(
    select held.id from {{schema}}.leases as lease cross join lateral unnest(lease.seqs, lease.ids) as held(seq, id)
      join {{schema}}.jobs as other on other.id = held.id and other.seq = held.seq
     where lease.queue_name = job.queue_name order by held.id);
  if cardinality(leased) >= q.max_running then
    facts := facts || jsonb_build_object('global', jsonb_build_object('limit', q.max_running, 'running', cardinality(leased), 'holders', to_jsonb(leased[1:10]::text[])));
  end if;
  if q.rate_limit is not null and (not q.rate_by_group or job.group_key is not null) then
    facts := facts || coalesce((
      select jsonb_build_object('rate', jsonb_build_object('limit', q.rate_limit, 'periodMs', q.rate_period_ms, 'started', sum(s.jobs),
               'key', case when q.rate_by_group then job.group_key end, 'until', min(s.started_at) + q.rate_period_ms * interval '1 millisecond'))
        from {{schema}}.starts as s
       where s.queue_name = q.name and s.group_key = case when q.rate_by_group then job.group_key else '' end
         and s.started_at > now() - q.rate_period_ms * interval '1 millisecond'
      having sum(s.jobs) >= q.rate_limit), '{}');
  end if;
  if job.group_key is not null then
    -- As claims see it, see pick_grouped(): what the first of the group that is ready says.
    select first.group_slots into first_slots from {{schema}}.jobs as first
     where first.queue_name = job.queue_name and first.run_at is null and first.group_key = job.group_key order by first.priority, first.seq limit 1;
    slots := coalesce(first_slots, q.group_slots, 1);
    facts := facts || jsonb_build_object('group', jsonb_build_object('key', job.group_key, 'limit', slots, 'ordered', coalesce(q.group_fifo, true),
      'holders', (select coalesce(jsonb_agg(member.id::text order by member.id), '[]') from {{schema}}.jobs as member
                   where member.id = any (leased) and member.group_key = job.group_key),
      'ahead', case when coalesce(q.group_fifo, true) then (
        select coalesce(jsonb_agg(jsonb_build_object('id', head.id::text, 'runAt', nullif(head.run_at, 'infinity'), 'state',
                 case when head.failed_at is not null then 'failed' when head.id = any (leased) then 'running' when head.run_at is null then 'ready'
                      when head.run_at = 'infinity' then 'blocked' else 'scheduled' end) order by head.id), '[]')
          from (select member.* from (
                  (select m.id, m.run_at, m.failed_at from {{schema}}.jobs as m
                    where m.queue_name = job.queue_name and m.group_key = job.group_key and m.failed_at is null and m.id < job.id order by m.id limit slots)
                  union all
                  (select m.id, m.run_at, m.failed_at from {{schema}}.jobs as m
                    where q.group_block and m.queue_name = job.queue_name and m.group_key = job.group_key and m.failed_at is not null and m.id < job.id
                    order by m.id limit slots)) as member order by member.id limit slots) as head) end));
  else
    facts := facts || jsonb_build_object('ahead', (
      select count(*) from (select from {{schema}}.jobs as other
                             where other.queue_name = job.queue_name and other.run_at is null and other.group_key is null
                               and (other.priority, other.seq) < (job.priority, job.seq) and other.id <> all (leased)
                             limit 1000) as before));
  end if;
  -- A job on its last chance empties the process that is to run it.
  return facts || jsonb_strip_nulls(jsonb_build_object('aloneFirst', (
    select min(other.id)::text from {{schema}}.jobs as other
     where other.run_at is null and other.run_alone and other.id <> job.id
       and exists (select from {{schema}}.workers as worker
                    where worker.expires_at > now() and worker.queues ? job.queue_name and worker.queues ? other.queue_name))));
end $$;

-- Why a job does not run, in a few words; null for a job that is not there. The first reason there is: the library's explain() tells them all.
create function {{schema}}.explain(job_id bigint) returns text language sql stable as $$
  select case
    when f ->> 'state' in ('completed', 'cancelled', 'failed') then concat(f ->> 'state', ' at ', f ->> 'at', ': ' || (f -> 'error' ->> 'message'))
    when f ->> 'state' = 'running' and not (f -> 'running' ->> 'alive')::boolean
      then concat('worker ', f -> 'running' ->> 'workerId', ' has died with it: it is about to be given back')
    when f ->> 'state' = 'running' then concat('running on worker ', f -> 'running' ->> 'workerId', ' since ', f -> 'running' ->> 'since')
    when f ? 'expiredAt' and f ->> 'expiredAt' is not null then concat('expired at ', f ->> 'expiredAt')
    when f -> 'waits' is not null then concat('sleeping until ', coalesce(f -> 'waits' -> 0 ->> 'until', 'an event comes'))
    when f ? 'parentsLeft' then concat('waits for ', f ->> 'parentsLeft', ' jobs, such as ', f -> 'parents' -> 0 ->> 'id')
    when f ? 'schedule' then concat('waits for an earlier job of schedule ', f -> 'schedule' ->> 'name')
    when not (f ->> 'isReady')::boolean and f ->> 'runAt' is not null
      then concat(case when (f ->> 'attempts')::integer > 0 then 'retry not due until ' else 'not due until ' end, f ->> 'runAt')
    when f ? 'leftVersion' then concat('waits for a worker that knows version ', f ->> 'leftVersion', ' of its payload')
    when not (f ->> 'isReady')::boolean then 'parked'
    when f ? 'paused' then concat('queue paused by ', f -> 'paused' ->> 'by', ' since ', f -> 'paused' ->> 'since')
    when f ? 'heldUntil' then concat('queue held until ', f ->> 'heldUntil')
    when (f -> 'workers' ->> 'running')::integer = 0 and (f -> 'workers' ->> 'quiet')::integer + (f -> 'workers' ->> 'draining')::integer > 0
      then 'only quiet workers work on its queue'
    when (f -> 'workers' ->> 'running')::integer = 0 then 'no live worker works on its queue'
    when f ? 'global' then concat('queue limit of ', f -> 'global' ->> 'limit', ' held by jobs ', f -> 'global' -> 'holders')
    when f ? 'rate' then concat('rate limit full until ', f -> 'rate' ->> 'until')
    when jsonb_array_length(f -> 'group' -> 'ahead') >= (f -> 'group' ->> 'limit')::integer
      then concat('behind job ', f -> 'group' -> 'ahead' -> 0 ->> 'id', ' of its group, which is ', f -> 'group' -> 'ahead' -> 0 ->> 'state')
    when jsonb_array_length(f -> 'group' -> 'holders') >= (f -> 'group' ->> 'limit')::integer
      then concat('group limit of ', f -> 'group' ->> 'limit', ' held by jobs ', f -> 'group' -> 'holders')
    when (f ->> 'alone')::boolean then 'waits to run alone, after crashes'
    when f ? 'aloneFirst' then concat('job ', f ->> 'aloneFirst', ' is to run alone first, after crashes')
    when (f -> 'workers' ->> 'free')::integer = 0 then concat('waits for a free slot', ', ' || ((f ->> 'ahead')::integer + 1) || '. in line')
    else 'about to run' end
    from {{schema}}.job_facts(job_id) as f
   where f is not null
$$;
