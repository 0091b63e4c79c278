-- Retries that know errors: expiry, a history of errors, retry() by hand; dead letters and their way back.

alter table {{schema}}.jobs
  -- What the last attempts have thrown, oldest first: see remembered().
  add column errors jsonb;
alter table {{schema}}.lanes
  -- Goes up when ready jobs are taken away by what is no claim, and when its mode changes: see hold_lanes().
  add column epoch bigint not null default 0;

create index jobs_expiring on {{schema}}.jobs (expires_at) where expires_at is not null and failed_at is null;
create index jobs_failed_id on {{schema}}.jobs (id) where failed_at is not null;
create index jobs_dead_letters on {{schema}}.jobs (id) where meta ? 'deadLetter';

create or replace view {{schema}}.job_states as
  select job.id, job.queue_name, job.payload,
         case when job.failed_at is not null then 'failed'
              when job.run_at is null then case when running.id is null then 'ready' else 'running' end
              when job.run_at = 'infinity' then 'blocked'
              else 'scheduled' end as state,
         job.run_count, job.max_attempts, job.priority, job.created_at, job.run_at, job.failed_at, job.last_error,
         running.locked_at, running.locked_by,
         job.crash_count, job.group_key, job.unique_key, job.meta, job.expires_at, job.errors
    from {{schema}}.jobs as job
    left join {{schema}}.running as running on running.id = job.id;

-- An error cut to about 2 kB: for the history, and for dead letters.
create function {{schema}}.brief_error(error jsonb) returns jsonb language sql immutable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'name', left(error ->> 'name', 100), 'message', left(error ->> 'message', 500), 'code', left(error ->> 'code', 50),
    'stack', left(error ->> 'stack', 700),
    'cause', case when jsonb_typeof(error -> 'cause') = 'object' then jsonb_build_object(
      'name', left(error -> 'cause' ->> 'name', 100), 'message', left(error -> 'cause' ->> 'message', 300),
      'code', left(error -> 'cause' ->> 'code', 50)) end))
$$;

create function {{schema}}.expired_error(cause jsonb) returns jsonb language sql immutable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'name', 'JobExpired', 'code', 'TM_EXPIRED', 'message', 'The job was not done by its expiresAt, and may not be begun any more.', 'cause', cause))
$$;

create function {{schema}}.lost_error() returns jsonb language sql immutable as $$
  select '{"name": "WorkerLost", "code": "TM_WORKER_LOST", "message": "the worker died while it ran this job"}'::jsonb
$$;

-- The history with one more error: the last ten, each with when, which attempt and where. null adds nothing.
create function {{schema}}.remembered(errors jsonb, error jsonb, attempt integer, worker text) returns jsonb language sql stable as $$
  select case
    when error is null then errors
    else case when jsonb_typeof(errors) is distinct from 'array' then '[]'
              when jsonb_array_length(errors) >= 10 then errors - 0
              else errors end
         || jsonb_build_array(
              jsonb_strip_nulls(jsonb_build_object('at', now(), 'attempt', attempt, 'worker', worker)) || {{schema}}.brief_error(error))
  end
$$;

-- Locks what claims of these jobs lock: the rows of their queues, and their lanes. None of them is claimed until the transaction ends, and
-- the statement that comes next, whose snapshot is taken then, sees every lease. A claim that began before reads the ready jobs of an
-- older snapshot: it finds another epoch than it knows, and takes nothing of the lane.
create function {{schema}}.hold_lanes(job_ids bigint[]) returns void language plpgsql as $$
begin
  insert into {{schema}}.queues (name)
  select distinct job.queue_name from {{schema}}.jobs as job where job.id = any (job_ids) and job.group_key is not null order by 1
  on conflict do nothing;
  perform from {{schema}}.queues as queue
    where exists (select from {{schema}}.jobs as job where job.id = any (job_ids) and job.queue_name = queue.name)
    order by queue.name
      for update;
  insert into {{schema}}.lanes (queue_name, priority)
  select distinct job.queue_name, job.priority from {{schema}}.jobs as job where job.id = any (job_ids) order by 1, 2
  on conflict do nothing;
  perform from {{schema}}.lanes as lane
    where exists (select from {{schema}}.jobs as job
                   where job.id = any (job_ids) and job.queue_name = lane.queue_name and job.priority = lane.priority)
    order by lane.queue_name, lane.priority
      for update;
  update {{schema}}.lanes as lane set epoch = epoch + 1
    where exists (select from {{schema}}.jobs as job
                   where job.id = any (job_ids) and job.queue_name = lane.queue_name and job.priority = lane.priority);
end $$;

-- Ends waiting jobs that have expired, whether or not somebody claims their queue; at most so many. What runs is left to end.
create function {{schema}}.expire(at_most integer) returns table (id bigint, queue text, attempts integer) language plpgsql as $$
declare
  due bigint[] := array(
    select job.id from {{schema}}.jobs as job
     where job.expires_at <= now() and job.failed_at is null
       and not (job.run_at is null
                and exists (select from {{schema}}.leases as lease
                             where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
     order by job.expires_at
     limit at_most);
begin
  if cardinality(due) = 0 then
    return;
  end if;
  perform {{schema}}.hold_lanes(due);
  due := array(
    select job.id from {{schema}}.jobs as job
     where job.id = any (due) and job.expires_at <= now() and job.failed_at is null
       and not (job.run_at is null
                and exists (select from {{schema}}.leases as lease
                             where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
       for update of job skip locked);
  delete from {{schema}}.dependencies as dep where dep.child_id = any (due);
  return query
    update {{schema}}.jobs as job
       set seq = nextval('{{schema}}.jobs_seq'), run_count = greatest(job.run_count, 1), run_at = 'infinity', failed_at = now(), wait_count = 0,
           last_error = {{schema}}.expired_error(job.last_error)
     where job.id = any (due)
    returning job.id, job.queue_name, job.run_count;
end $$;

-- Whether another job that has not ended has the unique key of this one.
create function {{schema}}.key_taken(job {{schema}}.jobs) returns boolean language sql stable as $$
  select job.unique_key is not null and exists (
    select from {{schema}}.jobs as other
     where other.queue_name = job.queue_name and other.unique_key = job.unique_key and other.failed_at is null and other.id <> job.id)
$$;

-- Who lets an expired job run again wants it to run.
create function {{schema}}.lifted_expiry(expires_at timestamptz, failed_at timestamptz) returns timestamptz language sql stable as $$
  select case when failed_at is not null and expires_at <= now() then null else expires_at end
$$;

-- Without an attempt that was granted: for a job that begins anew.
create function {{schema}}.ungranted(meta jsonb) returns jsonb language sql immutable as $$
  select case when meta ? 'granted' then nullif(meta - 'granted', '{}') else meta end
$$;

-- Lets a failed job run again at once, with its attempts that are left or one more, or a scheduled one without waiting for its time.
-- False: it is neither, or another job
-- has taken its unique key. With a seq, only if nothing has happened to the job since it had that.
create function {{schema}}.retry(job_id bigint, job_seq bigint default null) returns boolean language plpgsql as $$
declare
  queue text;
begin
  update {{schema}}.jobs as job
     set seq = nextval('{{schema}}.jobs_seq'), run_at = null, ready_at = now(), failed_at = null,
         expires_at = {{schema}}.lifted_expiry(job.expires_at, job.failed_at),
         meta = case when job.failed_at is null then job.meta
                     else case when jsonb_typeof(job.meta) = 'object' then job.meta else '{}' end
                          || jsonb_build_object('granted', job.run_count + 1) end
   where job.id = job_id and job.seq = coalesce(job_seq, job.seq) and (job.failed_at is not null or job.run_at < 'infinity')
     and not {{schema}}.key_taken(job)
  returning job.queue_name into queue;
  if queue is null then
    return false;
  end if;
  perform {{schema}}.ring(queue);
  return true;
end $$;

-- As before; and a job that begins anew has no attempt that was granted to it, and no expiry that is over.
create or replace function {{schema}}.requeue() returns trigger language plpgsql as $$
declare
  requeued text;
begin
  for requeued in
    with back as (
      update {{schema}}.jobs
         set run_at = null, ready_at = now(), failed_at = null, crash_count = 0, run_alone = false, seq = nextval('{{schema}}.jobs_seq'),
             expires_at = {{schema}}.lifted_expiry(expires_at, failed_at), meta = {{schema}}.ungranted(meta)
       where failed_at is not null and run_count = 0
      returning queue_name
    )
    select distinct queue_name from back
  loop
    perform {{schema}}.ring(requeued);
  end loop;
  return null;
end $$;

-- Enqueues the copy of a job that has just failed for good, if its queue names a dead-letter queue. Whoever fails the job causes it, in
-- the transaction of the failure. It must not raise: the failure could never be stored then. A copy that has come through the
-- queue it would go to is not sent there again.
create function {{schema}}.dead_letter() returns trigger language plpgsql as $$
declare
  target text;
  meta jsonb := case when jsonb_typeof(new.meta) = 'object' then new.meta else '{}' end;
  path jsonb := case when jsonb_typeof(new.meta -> 'deadLetter' -> 'path') = 'array' then new.meta -> 'deadLetter' -> 'path' else '[]' end
                || jsonb_build_array(new.queue_name);
begin
  select queue.options ->> 'deadLetter' into target from {{schema}}.queues as queue where queue.name = new.queue_name;
  if target is null or octet_length(target) not between 1 and 128 or path ? target or jsonb_array_length(path) > 10 then
    return null;
  end if;
  insert into {{schema}}.jobs (queue_name, payload, priority, meta)
  values (target, new.payload, new.priority,
          ({{schema}}.unbatched(meta) - '{timeoutMs,backoff,granted}'::text[])
          || jsonb_build_object('deadLetter', jsonb_build_object(
               'queue', new.queue_name, 'id', new.id::text, 'attempts', new.run_count, 'failedAt', new.failed_at,
               'error', {{schema}}.brief_error(new.last_error), 'path', path,
               'options', jsonb_strip_nulls(jsonb_build_object(
                 'maxAttempts', new.max_attempts, 'timeoutMs', meta -> 'timeoutMs', 'backoff', meta -> 'backoff',
                 'group', new.group_key, 'groupConcurrency', new.group_slots)))));
  return null;
end $$;
create trigger dead_letter after update of failed_at on {{schema}}.jobs
  for each row when (old.failed_at is null and new.failed_at is not null) execute function {{schema}}.dead_letter();

-- A number of at least 1 in an object; null when there is none.
create function {{schema}}.count_in(options jsonb, name text) returns integer language sql immutable as $$
  select case when jsonb_typeof(options -> name) = 'number' and (options ->> name)::numeric between 1 and 2147483647
              then (options ->> name)::numeric::integer end
$$;

-- Moves dead letters back to the queues they come from, as new jobs, each once: those that are still there and that nobody runs.
-- `payloads`, where there is one, replaces that of the job at the same place.
create function {{schema}}.redrive(job_ids bigint[], payloads jsonb[])
returns table (id bigint, new_id bigint, queue text) language plpgsql as $$
begin
  perform {{schema}}.hold_lanes(job_ids);
  return query
    with wanted as materialized (
      select w.job_id, w.payload from unnest(job_ids, payloads) as w(job_id, payload)
    ), gone as (
      delete from {{schema}}.jobs as job using wanted
       where job.id = wanted.job_id and octet_length(job.meta -> 'deadLetter' ->> 'queue') between 1 and 128
         and not (job.run_at is null
                  and exists (select from {{schema}}.leases as lease
                               where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)))
      returning job.id, job.priority, job.meta, coalesce(wanted.payload, job.payload) as payload
    ), back as materialized (
      select gone.*, nextval('{{schema}}.jobs_id_seq') as next_id, gone.meta -> 'deadLetter' ->> 'queue' as source,
             gone.meta -> 'deadLetter' -> 'options' as options
        from gone
       order by gone.id
    ), stored as (
      insert into {{schema}}.jobs (id, queue_name, payload, priority, max_attempts, group_key, group_slots, meta)
      select back.next_id, back.source, back.payload, back.priority,
             {{schema}}.count_in(back.options, 'maxAttempts'), back.options ->> 'group', {{schema}}.count_in(back.options, 'groupConcurrency'),
             nullif((back.meta - '{deadLetter,granted,timeoutMs,backoff}'::text[])
                    || jsonb_strip_nulls(jsonb_build_object('timeoutMs', back.options -> 'timeoutMs', 'backoff', back.options -> 'backoff')),
                    '{}')
        from back
    )
    select back.id, back.next_id, back.source from back;
end $$;

-- Deletes a job that does not run. False: it runs, or does not exist.
create function {{schema}}.remove(job_id bigint) returns boolean language plpgsql as $$
begin
  perform {{schema}}.hold_lanes(array[job_id]);
  delete from {{schema}}.jobs as job
   where job.id = job_id
     and not (job.run_at is null
              and exists (select from {{schema}}.leases as lease
                           where lease.queue_name = job.queue_name and lease.priority = job.priority and job.seq = any (lease.seqs)));
  return found;
end $$;
