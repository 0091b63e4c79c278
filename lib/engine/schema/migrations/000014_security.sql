-- Queues that hold no more than so many jobs; and what a role may do that only enqueues.

-- The most jobs of a queue ---------------------------------------------------------------------------------------------------
alter table {{schema}}.queues
  -- What the code says, and what an operator has said, whose word counts: 0 is no limit, null leaves it to the code.
  add column said_pending integer check (said_pending > 0),
  add column set_pending  integer check (set_pending >= 0);
alter table {{schema}}.queues
  add column max_pending  integer generated always as (nullif(coalesce(set_pending, said_pending), 0)) stored;
-- Empty where no queue has a limit: all that an enqueue pays for it then is one probe of an empty index.
create index queues_max_pending on {{schema}}.queues (name) where max_pending is not null;

-- Whoever enqueues to a queue with a limit changes its gate, so that one transaction after another counts. Apart from `queues`, whose
-- rows claims lock: nobody who claims ever waits for a transaction of an application.
create table {{schema}}.gates (
  queue_name text collate "C" primary key,
  -- At least so many jobs more may come before somebody has to count again. What ends meanwhile only makes room.
  room       bigint not null default 0,
  counted_at timestamptz not null default '-infinity'
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);

-- A row makes whoever comes to the gate next count: the limit was changed, or jobs have come that were let in unasked. Only inserted, and
-- deleted by whoever has the gate, so that nobody waits for it.
create table {{schema}}.gate_calls (
  queue_name text collate "C" not null
);
create index gate_calls_queue on {{schema}}.gate_calls (queue_name);

create function {{schema}}.call_gate() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'queues' then
    insert into {{schema}}.gates (queue_name) values (new.name) on conflict do nothing;
    insert into {{schema}}.gate_calls (queue_name) values (new.name);
  else
    insert into {{schema}}.gate_calls (queue_name)
    select q.name from {{schema}}.queues as q where q.name = new.queue_name and q.max_pending is not null;
  end if;
  return null;
end $$;
create trigger call_gate after insert or update of said_pending, set_pending on {{schema}}.queues
  for each row when (new.max_pending is not null) execute function {{schema}}.call_gate();
-- A job that had failed is let run again.
create trigger call_gate after update of failed_at on {{schema}}.jobs
  for each row when (old.failed_at is not null and new.failed_at is null) execute function {{schema}}.call_gate();

-- What an operator says about the most jobs of a queue: 0 no limit, null what the code says.
create function {{schema}}.set_max_pending(queue text, most integer) returns void language sql as $$
  insert into {{schema}}.queues as q (name, set_pending) values (queue, most)
  on conflict (name) do update set set_pending = excluded.set_pending
$$;

-- Lets a transaction pass that has just inserted so many jobs, or fails it. The gate is changed, not only locked: who comes with an
-- older snapshot gets a serialization failure instead of counting what it cannot see. Every ten seconds somebody counts in any case.
create function {{schema}}.admit(queue text, added bigint) returns void language plpgsql
set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  gate {{schema}}.gates;
  most bigint;
  pending bigint;
begin
  insert into {{schema}}.gates as g (queue_name) values (queue)
  on conflict (queue_name) do update set room = g.room - added
  returning g.* into gate;
  select q.max_pending into most from {{schema}}.queues as q where q.name = queue;
  delete from {{schema}}.gate_calls as c where c.queue_name = queue;
  if most is null or not found and gate.room >= 0 and gate.counted_at > clock_timestamp() - interval '10 seconds' then
    return;
  end if;
  select count(*) into pending from (
    (select 1 from {{schema}}.jobs as j where j.queue_name = queue and j.run_at is null and j.group_key is null limit most + added)
    union all
    (select 1 from {{schema}}.jobs as j where j.queue_name = queue and j.run_at is null and j.group_key is not null limit most + added)
    union all
    (select 1 from {{schema}}.jobs as j where j.queue_name = queue and j.run_at is not null and j.failed_at is null limit most + added)
    limit most + added) as counted;
  if pending > most then
    raise exception 'queue full (maxPending %, pending %): %', most, pending - added, queue using errcode = 'P0Q01';
  end if;
  update {{schema}}.gates as g set room = most - pending, counted_at = clock_timestamp() where g.queue_name = queue;
end $$;

-- Takes the gate of a queue unless somebody else has it: who fires schedules waits for no transaction of an application.
create function {{schema}}.hold_gate(queue text) returns boolean language plpgsql as $$
begin
  perform from {{schema}}.gates as gate where gate.queue_name = queue for update skip locked;
  return found;
end $$;

-- null: not now, an earlier one is still alive, or its queue is full.
create function {{schema}}.schedule_job_if_room(wanted {{schema}}.schedules, due timestamptz) returns bigint language plpgsql as $$
begin
  return {{schema}}.schedule_job(wanted, due);
exception when sqlstate 'P0Q01' then
  return null;
end $$;

-- Roles ----------------------------------------------------------------------------------------------------------------------
-- With the rights of the owner, for roles that have none on the tables: to enqueue without reading what others have enqueued, and to make
-- and drop partitions without DDL. A fixed search_path, no argument that becomes an identifier, and nothing for PUBLIC.
alter function {{schema}}.enqueue(text, jsonb, jsonb) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.enqueue_jobs(json) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.open_batch(jsonb) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.close_batch(bigint) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.enqueue_batch(jsonb, jsonb) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.emit(text, jsonb, double precision) security definer set search_path = pg_catalog, pg_temp;
alter function {{schema}}.prune(integer) security definer set search_path = pg_catalog, pg_temp;
revoke execute on function
  {{schema}}.enqueue(text, jsonb, jsonb), {{schema}}.enqueue_jobs(json), {{schema}}.open_batch(jsonb), {{schema}}.close_batch(bigint),
  {{schema}}.enqueue_batch(jsonb, jsonb), {{schema}}.emit(text, jsonb, double precision), {{schema}}.prune(integer)
  from public;
-- Whoever inserts calls it, by the trigger.
alter function {{schema}}.admit(text, bigint) security definer set search_path = pg_catalog, pg_temp;
