-- Durable steps: what a job has done already, what it waits for, and the events that end a wait.

-- A step, sleep or wait of a job; all of them go with the job, see job_ended().
create table {{schema}}.steps (
  job_id      bigint not null,
  kind        text collate "C" not null check (kind in ('step', 'sleep', 'event')),
  -- Empty: a sleep without a name.
  name        text collate "C" not null check (octet_length(name) <= 256),
  -- Which of those that were called alike, in the order of the calls; 0: it has a name of its own.
  nth         integer not null default 0,
  -- What is waited for.
  event_name  text collate "C",
  -- When the wait is over, whatever has come; null: never.
  wake_at     timestamptz,
  -- jobs.seq of the attempt that waits, and then of the job that is parked. null: nobody waits.
  token       bigint,
  created_at  timestamptz not null default now(),
  finished_at timestamptz,
  -- What ended the wait.
  event_id    bigint,
  -- What the step returned, or the payload of the event; null: undefined.
  result      jsonb,
  primary key (job_id, kind, name, nth)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);
create index steps_waiting on {{schema}}.steps (event_name, job_id) where finished_at is null and event_name is not null;

-- Events from their emit() until those that wait have them, or, where they are kept, until they expire.
create table {{schema}}.emitted (
  id         bigint generated always as identity primary key,
  name       text collate "C" not null check (octet_length(name) between 1 and 256),
  payload    jsonb not null,
  emitted_at timestamptz not null default clock_timestamp(),
  -- Whoever begins to wait before has it as well.
  expires_at timestamptz not null default '-infinity',
  -- Somebody may wait who does not have it.
  pending    boolean not null default true
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);
create index emitted_pending on {{schema}}.emitted (id) where pending;
create index emitted_name on {{schema}}.emitted (name, id);
create index emitted_expired on {{schema}}.emitted (expires_at) where not pending;

-- For people: jobs that sleep, what each of them waits for, and until when at the latest (null: until it comes).
create view {{schema}}.sleeping_jobs as
  select job.id, job.queue_name, step.kind, nullif(step.name, '') as name, step.event_name, step.wake_at, step.created_at as since
    from {{schema}}.steps as step
    join {{schema}}.jobs as job on job.id = step.job_id and job.seq = step.token and job.run_at is not null
   where step.finished_at is null;

-- Begins a wait of a running job, or finds out what has become of it. No row: the job does not belong to this attempt.
-- Called twice by whoever waits for an event: the second call, whose snapshot is taken after the first has committed, finds what was
-- emitted and kept meanwhile, by somebody who could not see the wait yet.
create function {{schema}}.begin_wait(of_job bigint, of_token bigint, of_kind text, of_name text, of_nth integer, awaited text, wait_ms double precision)
returns table (finished boolean, result text) language plpgsql as $$
declare
  wait {{schema}}.steps;
  event {{schema}}.emitted;
begin
  perform from {{schema}}.jobs as job where job.id = of_job and job.seq = of_token and job.run_at is null for no key update;
  if not found then
    return;
  end if;
  update {{schema}}.jobs as job set flags = job.flags | 8 where job.id = of_job and job.flags & 8 = 0;
  insert into {{schema}}.steps as step (job_id, kind, name, nth, event_name, wake_at, token)
  values (of_job, of_kind, of_name, of_nth, awaited, clock_timestamp() + wait_ms * interval '1 millisecond', of_token)
  on conflict on constraint steps_pkey do update set token = excluded.token
    where step.finished_at is null and step.token is distinct from excluded.token;
  select * into wait from {{schema}}.steps as step
   where step.job_id = of_job and step.kind = of_kind and step.name = of_name and step.nth = of_nth;
  if wait.finished_at is null and wait.event_name is not null then
    select * into event from {{schema}}.emitted as e
     where e.name = wait.event_name and (e.expires_at > now() or e.pending and e.emitted_at >= wait.created_at)
       and (wait.wake_at is null or e.emitted_at <= wait.wake_at)
       and not exists (select from {{schema}}.steps as other where other.job_id = of_job and other.event_id = e.id)
     order by e.id
     limit 1;
  end if;
  if wait.finished_at is null and (event.id is not null or wait.wake_at <= clock_timestamp()) then
    update {{schema}}.steps as step set finished_at = now(), token = null, event_id = event.id, result = event.payload
     where step.job_id = of_job and step.kind = of_kind and step.name = of_name and step.nth = of_nth
    returning * into wait;
  end if;
  return query select wait.finished_at is not null, wait.result::text;
end $$;

-- Parks a running job whose handler has ended because it waits: until the first of what it waits for, which may be over already.
-- Answers with the time until then (null: until an event comes); no row: the job does not belong to this attempt.
create function {{schema}}.park_job(of_job bigint, of_token bigint) returns table (queue text, in_ms double precision) language plpgsql as $$
declare
  parked {{schema}}.jobs;
  next_token bigint := nextval('{{schema}}.jobs_seq');
  is_over boolean;
  wake timestamptz;
begin
  select * into parked from {{schema}}.jobs as job where job.id = of_job and job.seq = of_token and job.run_at is null for update;
  if not found then
    return;
  end if;
  -- On a snapshot younger than the lock, without which no event is delivered. Without a wait there is nothing to wait for.
  select coalesce(bool_or(step.finished_at is not null or coalesce(step.wake_at, 'infinity') <= clock_timestamp()), true),
         coalesce(min(step.wake_at), 'infinity')
    into is_over, wake
    from {{schema}}.steps as step where step.job_id = of_job and step.token = of_token;
  is_over := is_over or parked.flags & 4 <> 0;  -- cancelled meanwhile
  update {{schema}}.jobs as job
     set seq = next_token, run_at = case when not is_over then wake end,
         ready_at = case when is_over then now() when wake < 'infinity' then wake else job.ready_at end
   where job.id = of_job;
  update {{schema}}.steps as step set token = next_token where step.job_id = of_job and step.token = of_token and step.finished_at is null;
  queue := parked.queue_name;
  if is_over then
    in_ms := 0;
    perform {{schema}}.ring(queue);
  elsif wake < 'infinity' then
    in_ms := greatest(0, extract(epoch from wake - clock_timestamp()) * 1000);
    perform {{schema}}.ring('');
  end if;
  return next;
end $$;

-- Wakes all jobs that wait for an event of this name, once the transaction has committed. Nobody who emits waits for the rows of jobs:
-- events are delivered by workers, in short transactions. With keep_ms, also jobs that begin to wait within that time.
create function {{schema}}.emit(event text, payload jsonb default '{}', keep_ms double precision default 0) returns void language plpgsql as $$
begin
  if event is null or octet_length(event) not between 1 and 256 then
    raise exception 'invalid event name: 1 to 256 bytes of UTF-8' using errcode = '22023';
  end if;
  if keep_ms is null or not keep_ms between 0 and 3153600000000 then
    raise exception 'keep_ms must be a number of milliseconds from 0 to 3153600000000' using errcode = '22023';
  end if;
  -- Nobody waits, and nobody who will is to have it. A snapshot of the whole transaction cannot tell.
  if keep_ms = 0 and current_setting('transaction_isolation') = 'read committed'
     and not exists (select from {{schema}}.steps as step where step.event_name = event and step.finished_at is null) then
    return;
  end if;
  insert into {{schema}}.emitted (name, payload, expires_at)
  values (event, coalesce(emit.payload, 'null'), case when keep_ms > 0 then clock_timestamp() + keep_ms * interval '1 millisecond' else '-infinity' end);
  perform pg_notify('{{channel}}', E'\x01emitted:') where pg_notification_queue_usage() < 0.5;
end $$;

-- Gives pending events to those that wait: the first wait of each job that does not have the event yet. Jobs that are locked at
-- this moment are passed over, and their event stays pending. Answers with how many events were dealt with and how many waits they
-- have ended, how many are left, and the queues of jobs that are ready now.
create function {{schema}}.deliver_events(most integer) returns table (delivered integer, ended integer, held integer, queues text[]) language plpgsql as $$
declare
  event {{schema}}.emitted;
  locked bigint[];
  given integer;
  woken text[];
  rung text;
begin
  delivered := 0;
  ended := 0;
  held := 0;
  queues := '{}';
  for event in
    select * from {{schema}}.emitted as e where e.pending order by e.id limit most for update skip locked
  loop
    locked := array(
      select job.id from {{schema}}.jobs as job
       where job.id in (select step.job_id from {{schema}}.steps as step
                         where step.event_name = event.name and step.finished_at is null and (step.wake_at is null or step.wake_at >= event.emitted_at)
                           and not exists (select from {{schema}}.steps as other where other.job_id = step.job_id and other.event_id = event.id))
       order by job.id
       limit 1000
         for update of job skip locked);
    with first as materialized (
      select distinct on (step.job_id) step.job_id, step.kind, step.name, step.nth from {{schema}}.steps as step
       where step.job_id = any (locked) and step.event_name = event.name and step.finished_at is null
         and (step.wake_at is null or step.wake_at >= event.emitted_at)
         and not exists (select from {{schema}}.steps as other where other.job_id = step.job_id and other.event_id = event.id)
       order by step.job_id, step.nth, step.created_at
    ), finished as (
      update {{schema}}.steps as step set finished_at = now(), event_id = event.id, result = event.payload
        from first where step.job_id = first.job_id and step.kind = first.kind and step.name = first.name and step.nth = first.nth
      returning step.job_id, step.token
    ), awake as (
      update {{schema}}.jobs as job set run_at = null, ready_at = now(), seq = nextval('{{schema}}.jobs_seq')
        from finished where job.id = finished.job_id and job.seq = finished.token and job.run_at is not null and job.failed_at is null
      returning job.queue_name
    )
    select (select count(*) from finished), array(select distinct awake.queue_name from awake) into given, woken;
    ended := ended + given;
    queues := queues || woken;
    if exists (select from {{schema}}.steps as step join {{schema}}.jobs as job on job.id = step.job_id
                where step.event_name = event.name and step.finished_at is null and (step.wake_at is null or step.wake_at >= event.emitted_at)
                  and not exists (select from {{schema}}.steps as other where other.job_id = step.job_id and other.event_id = event.id)) then
      held := held + 1;
      continue;
    end if;
    delivered := delivered + 1;
    if event.expires_at > clock_timestamp() then
      update {{schema}}.emitted as e set pending = false where e.id = event.id;
    else
      delete from {{schema}}.emitted as e where e.id = event.id;
    end if;
  end loop;
  queues := array(select distinct q.name from unnest(queues) as q(name) order by q.name);
  foreach rung in array queues loop
    perform {{schema}}.ring(rung);
  end loop;
  delete from {{schema}}.emitted as e
   where e.id = any (array(select old.id from {{schema}}.emitted as old
                            where not old.pending and old.expires_at <= now() order by old.expires_at limit 500 for update skip locked));
  return next;
end $$;

-- Replaces that of the second migration: the steps of a job go with it. A plain job still never calls this.
create or replace function {{schema}}.job_ended() returns trigger language plpgsql as $$
declare
  outcome text := case when tg_op = 'UPDATE' then 'failed'
                       when old.failed_at is not null then null
                       else coalesce(nullif(current_setting('taskmaster.outcome', true), ''), 'cancelled') end;
begin
  if tg_op = 'DELETE' and old.flags & 8 <> 0 then
    delete from {{schema}}.steps where job_id = old.id;
  end if;
  if tg_op = 'DELETE' and old.flags & 32 <> 0 then
    delete from {{schema}}.dependencies where child_id = old.id;
  end if;
  if outcome is null then
    return null;
  end if;
  if old.flags & 1 <> 0 or old.batch_id is not null then
    insert into {{schema}}.effects (job_id, batch_id, outcome) values (old.id, old.batch_id, outcome);
    perform {{schema}}.ring('');
  end if;
  if old.flags & 2 <> 0 then
    perform pg_notify('{{channel}}', E'\x01ended:' || old.id) where pg_notification_queue_usage() < 0.5;
  end if;
  return null;
end $$;
drop trigger job_deleted on {{schema}}.jobs;
create trigger job_deleted after delete on {{schema}}.jobs for each row
  when (old.flags & 43 <> 0 or old.batch_id is not null) execute function {{schema}}.job_ended();
