-- breaking: claims of releases that do not know grouped jobs would be slow, and their leases would not name their jobs
-- Unique jobs, groups, limits, cancelling, pausing, dependencies, batches, and finished jobs that are kept.

-- Jobs ---------------------------------------------------------------------------------------------------------------------
-- Grouped jobs are in an index of their own: claims of ungrouped ones never meet them.
drop index {{schema}}.jobs_ready;
create index jobs_ready on {{schema}}.jobs (queue_name, priority, seq) where run_at is null and group_key is null;
create index jobs_grouped on {{schema}}.jobs (queue_name, group_key, priority, seq) where run_at is null and group_key is not null;
-- The members of a group in the order they were enqueued, and those that block it because they have failed.
drop index {{schema}}.jobs_parked;
create index jobs_group on {{schema}}.jobs (queue_name, group_key, id) where group_key is not null and failed_at is null;
create index jobs_group_failed on {{schema}}.jobs (queue_name, group_key, id) where group_key is not null and failed_at is not null;
-- A failed job has ended: its key is free.
drop index {{schema}}.jobs_unique;
create unique index jobs_unique on {{schema}}.jobs (queue_name, unique_key) where unique_key is not null and failed_at is null;

-- flags, bit by bit: 1 others depend on it; 2 somebody wants its result; 4 to be cancelled; 8 has steps; 16 is in a batch;
-- 32 depends on others.
alter table {{schema}}.jobs
  -- How many of its group may run at once; null: what the queue says.
  add column group_slots integer check (group_slots > 0),
  -- Said by the handler: the last progress, and the newest lines of its log.
  add column progress jsonb,
  add column logs jsonb,
  -- By how much waiting has lifted its priority.
  add column aged smallint not null default 0,
  -- No attempt begins after this time.
  add column expires_at timestamptz;

-- A lease names its jobs by id too: whoever looks for them finds them by primary key, in whatever index they are.
alter table {{schema}}.leases
  add column ids bigint[] not null default '{}',
  -- Not compressed: a lease lives for milliseconds, and to compress the arrays of a thousand jobs took longer than all else about it.
  alter column seqs set storage external, alter column ids set storage external;

-- A key that is kept for a period, or for ever, whatever becomes of its job.
create table {{schema}}.unique_keys (
  queue_name text collate "C" not null,
  unique_key text collate "C" not null,
  job_id     bigint not null,
  expires_at timestamptz not null,
  primary key (queue_name, unique_key)
);
create index unique_keys_expiry on {{schema}}.unique_keys (expires_at) where expires_at < 'infinity';

-- Queues -------------------------------------------------------------------------------------------------------------------
-- The row of a queue is also the lock under which its limits are counted: see claim_limited().
alter table {{schema}}.queues
  add column paused_by      text,
  -- Nothing starts before: a handler was told to slow down.
  add column held_until     timestamptz,
  add column max_running    integer check (max_running > 0),
  add column rate_limit     integer check (rate_limit > 0),
  add column rate_period_ms double precision check (rate_period_ms > 0),
  -- The rate is one of each group, not of the queue.
  add column rate_by_group  boolean not null default false,
  add column group_slots    integer not null default 1 check (group_slots > 0),
  -- Members of a group start in the order they were enqueued, and those that wait hold up the others.
  add column group_fifo     boolean not null default true,
  -- A member that has failed holds up its group until it is requeued or deleted.
  add column group_block    boolean not null default false,
  -- The group that was served last: the next claim goes on after it.
  add column group_cursor   text collate "C" not null default '',
  -- How long finished jobs are kept, in milliseconds; null: for ever.
  add column completed_ms   double precision default 0,
  add column failed_ms      double precision,
  add column cancelled_ms   double precision default 0,
  -- Waiting for so long lifts the priority by one; null: never.
  add column ageing_ms      double precision check (ageing_ms > 0),
  add column limited        boolean generated always as (max_running is not null or (rate_limit is not null and not rate_by_group)) stored;

-- Starts within the last period of a rate limit: one row a claim and group.
create table {{schema}}.starts (
  queue_name text collate "C" not null,
  group_key  text collate "C" not null,
  started_at timestamptz not null default now(),
  jobs       integer not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);
create index starts_group on {{schema}}.starts (queue_name, group_key, started_at);

-- Lanes of a queue with limits are in mode l: claims of the plain kind leave them alone.
create function {{schema}}.lane_mode() returns trigger language plpgsql as $$
begin
  if exists (select from {{schema}}.queues as q where q.name = new.queue_name and q.limited) then
    new.mode := 'l';
  end if;
  return new;
end $$;
create trigger lane_mode before insert on {{schema}}.lanes for each row execute function {{schema}}.lane_mode();

create function {{schema}}.queue_limits() returns trigger language plpgsql as $$
begin
  update {{schema}}.lanes set mode = case when new.limited then 'l' else 'c' end, epoch = epoch + 1 where queue_name = new.name;
  return null;
end $$;
create trigger queue_limits after insert or update of max_running, rate_limit, rate_by_group on {{schema}}.queues
  for each row execute function {{schema}}.queue_limits();

-- Dependencies and batches -------------------------------------------------------------------------------------------------
create table {{schema}}.dependencies (
  parent_id bigint not null,
  child_id  bigint not null,
  -- What becomes of the child when the parent fails or is cancelled: c cancelled, f fails, i goes on as if it had succeeded.
  on_failure "char" not null default 'c',
  -- How the parent has ended, when that has been applied to the child.
  outcome   text,
  primary key (parent_id, child_id)
);
create index dependencies_child on {{schema}}.dependencies (child_id);

create table {{schema}}.batches (
  id          bigint generated by default as identity primary key,
  created_at  timestamptz not null default now(),
  finished_at timestamptz,
  -- Whether all its jobs have been added: an open batch does not finish.
  closed      boolean not null default true,
  total       integer not null default 0,
  completed   integer not null default 0,
  failed      integer not null default 0,
  cancelled   integer not null default 0,
  -- Jobs to be enqueued at its end, as enqueue() takes them: {"finished": {...}, "succeeded": {...}, "failed": {...}}.
  callbacks   jsonb not null default '{}'
) with (fillfactor = 50);

-- What the end of a job means to others, written with it and applied by workers in short transactions: nobody who ends a job waits
-- for the rows of others.
create table {{schema}}.effects (
  id      bigint generated always as identity primary key,
  job_id  bigint not null,
  batch_id bigint,
  outcome text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);

-- Finished jobs ------------------------------------------------------------------------------------------------------------
-- Kept where a queue keeps them. A partition holds what expires on one day, so that each is dropped as a whole.
create table {{schema}}.finished (
  id           bigint not null,
  queue_name   text collate "C" not null,
  state        text not null check (state in ('completed', 'failed', 'cancelled')),
  run_count    integer not null,
  priority     smallint not null,
  group_key    text collate "C",
  batch_id     bigint,
  created_at   timestamptz not null,
  finished_at  timestamptz not null default now(),
  expires_at   timestamptz not null,
  payload      jsonb not null,
  result       jsonb,
  error        jsonb,
  progress     jsonb,
  logs         jsonb,
  meta         jsonb
) partition by range (expires_at);
create index finished_id on {{schema}}.finished (id);
create index finished_queue on {{schema}}.finished (queue_name, finished_at);
-- For ever, and whatever has no partition of its own yet.
create table {{schema}}.finished_default partition of {{schema}}.finished default;

create view {{schema}}.finished_jobs as select * from {{schema}}.finished where expires_at > now();

-- The end of a job that means something to others, whoever brings it about: an ack, a failure, cancel(), a DELETE in psql.
-- A plain job never calls this: the conditions of the triggers are looked at first.
create function {{schema}}.job_ended() returns trigger language plpgsql as $$
declare
  outcome text := case when tg_op = 'UPDATE' then 'failed'
                       when old.failed_at is not null then null
                       else coalesce(nullif(current_setting('taskmaster.outcome', true), ''), 'cancelled') end;
begin
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
create trigger job_deleted after delete on {{schema}}.jobs for each row
  when (old.flags & 51 <> 0 or old.batch_id is not null) execute function {{schema}}.job_ended();
create trigger job_failed after update of failed_at on {{schema}}.jobs for each row
  when (old.failed_at is null and new.failed_at is not null and (old.flags & 3 <> 0 or old.batch_id is not null))
  execute function {{schema}}.job_ended();
-- A batch counts a job that is requeued after it had failed as one that has not ended.
create function {{schema}}.job_requeued() returns trigger language plpgsql as $$
begin
  insert into {{schema}}.effects (job_id, batch_id, outcome) values (old.id, old.batch_id, 'requeued');
  return null;
end $$;
create trigger job_requeued after update of failed_at on {{schema}}.jobs for each row
  when (old.failed_at is not null and new.failed_at is null and old.batch_id is not null)
  execute function {{schema}}.job_requeued();

create function {{schema}}.parent_failed() returns jsonb language sql immutable as $$
  select '{"name": "ParentFailed", "code": "TM_PARENT_FAILED", "message": "a job that it depends on failed or was cancelled"}'::jsonb
$$;

-- Fails a job that nobody runs; its row is locked by the caller.
create function {{schema}}.fail_waiting(job_id bigint, error jsonb) returns void language sql as $$
  update {{schema}}.jobs
     set failed_at = now(), run_at = 'infinity', run_count = greatest(run_count, 1), wait_count = 0, last_error = error,
         seq = nextval('{{schema}}.jobs_seq')
   where id = job_id
$$;

-- Locks jobs, as everybody does who locks more than one: in the order of their ids, after batches and before dependencies. So nobody waits
-- for another in a circle.
create function {{schema}}.lock_jobs(ids bigint[]) returns void language sql as $$
  select from {{schema}}.jobs as job where job.id = any (ids) order by job.id for update
$$;

-- The jobs that these, elements of what enqueue_jobs() takes, depend on.
create function {{schema}}.parents_in(jobs json) returns bigint[] language sql immutable as $$
  select array(
    select coalesce(dep ->> 'i', dep #>> '{}')::bigint
      from json_array_elements(jobs) as given(job) cross join json_array_elements(given.job -> 'dep') as parent(dep))
$$;

-- Applies what the ends of jobs mean to others: children whose parents have all ended become ready, those of a parent that failed go
-- as they were told to, batches count. Answers with the number of ends it has dealt with.
create function {{schema}}.apply_effects(most integer) returns integer language plpgsql as $$
declare
  taken {{schema}}.effects[];
  child record;
  batch record;
  waiting {{schema}}.jobs;
begin
  with gone as (
    delete from {{schema}}.effects
     where id = any (array(select e.id from {{schema}}.effects as e order by e.id limit most for update skip locked))
    returning effects
  )
  select array_agg(gone.effects) into taken from gone;
  if taken is null then
    return 0;
  end if;

  perform from {{schema}}.batches as b
    where b.id = any (array(select distinct effect.batch_id from unnest(taken) as effect where effect.batch_id is not null))
    order by b.id for update;
  -- The children, and the parents of the callbacks that may be enqueued.
  perform {{schema}}.lock_jobs(array(
    select dep.child_id from {{schema}}.dependencies as dep
     where dep.parent_id = any (array(select effect.job_id from unnest(taken) as effect where effect.outcome <> 'requeued'))
       and dep.outcome is null
    union
    select unnest({{schema}}.parents_in({{schema}}.callbacks_of(b)))
      from (select effect.batch_id as id, count(*) as ends from unnest(taken) as effect where effect.batch_id is not null group by 1) as counted
      join {{schema}}.batches as b on b.id = counted.id
     where b.closed and b.finished_at is null and b.completed + b.failed + b.cancelled + counted.ends >= b.total));
  for child in
    with ended as (
      update {{schema}}.dependencies as dep set outcome = effect.outcome
        from unnest(taken) as effect
       where dep.parent_id = effect.job_id and dep.outcome is null and effect.outcome <> 'requeued'
      returning dep.child_id, dep.on_failure, dep.outcome
    )
    select ended.child_id as id, count(*)::integer as parents,
           bool_or(ended.outcome <> 'completed' and ended.on_failure = 'c') as cancelled,
           bool_or(ended.outcome <> 'completed' and ended.on_failure = 'f') as fails
      from ended
     group by ended.child_id
     order by ended.child_id
  loop
    select * into waiting from {{schema}}.jobs as job where job.id = child.id for update;
    -- One that waits for nobody any more has failed, or was requeued after that: what it does not wait for is not its business.
    continue when not found or waiting.failed_at is not null or waiting.wait_count = 0;
    if child.cancelled then
      perform {{schema}}.end_waiting(child.id, 'cancelled', {{schema}}.parent_failed());
    elsif child.fails then
      perform {{schema}}.fail_waiting(child.id, {{schema}}.parent_failed());
    elsif waiting.wait_count > child.parents then
      update {{schema}}.jobs set wait_count = waiting.wait_count - child.parents where id = child.id;
    else
      update {{schema}}.jobs as job
         set wait_count = 0, run_at = case when job.ready_at > now() then job.ready_at end,
             ready_at = greatest(job.ready_at, now()), seq = nextval('{{schema}}.jobs_seq')
       where job.id = child.id;
      perform {{schema}}.ring(case when waiting.ready_at > now() then '' else waiting.queue_name end);
    end if;
  end loop;
  for batch in
    update {{schema}}.batches as b
       set completed = b.completed + ended.completed, failed = b.failed + ended.failed, cancelled = b.cancelled + ended.cancelled
      from (select effect.batch_id,
                   count(*) filter (where effect.outcome = 'completed') as completed,
                   count(*) filter (where effect.outcome = 'failed') - count(*) filter (where effect.outcome = 'requeued') as failed,
                   count(*) filter (where effect.outcome = 'cancelled') as cancelled
              from unnest(taken) as effect where effect.batch_id is not null group by 1 order by 1) as ended
     where b.id = ended.batch_id
    returning b.id
  loop
    perform {{schema}}.finish_batch(batch.id);
  end loop;
  return cardinality(taken);
end $$;

-- Ends a batch whose jobs have all ended, and enqueues its callbacks: once, because the row is locked.
create function {{schema}}.finish_batch(batch bigint) returns void language plpgsql as $$
declare
  ended {{schema}}.batches;
begin
  update {{schema}}.batches as b set finished_at = now()
   where b.id = batch and b.closed and b.finished_at is null and b.completed + b.failed + b.cancelled >= b.total
  returning * into ended;
  if not found then
    return;
  end if;
  perform {{schema}}.enqueue_jobs({{schema}}.callbacks_of(ended));
end $$;

-- What is enqueued at the end of a batch that has come to these counts.
create function {{schema}}.callbacks_of(batch {{schema}}.batches) returns json language sql immutable as $$
  select coalesce(json_agg(callback || jsonb_build_object('x', coalesce(callback -> 'x', '{}') || jsonb_build_object('batch', jsonb_build_object(
           'id', batch.id::text, 'total', batch.total, 'completed', batch.completed, 'failed', batch.failed, 'cancelled', batch.cancelled)))), '[]')
    from unnest(array['finished', case when batch.failed + batch.cancelled = 0 then 'succeeded' else 'failed' end]) as name
   cross join lateral (select batch.callbacks -> name as callback) as given
   where callback is not null
$$;

-- The meta of a copy of a job, which does not count in the batch of that job; that of a callback keeps the counts.
create function {{schema}}.unbatched(meta jsonb) returns jsonb language sql immutable as $$
  select case when meta -> 'batch' ? 'total' then meta else meta - 'batch' end
$$;

-- Ends a job that nobody runs; its row is locked by the caller. Kept as its queue keeps cancelled jobs.
create function {{schema}}.end_waiting(job_id bigint, outcome text, error jsonb) returns void language plpgsql as $$
begin
  perform set_config('taskmaster.outcome', outcome, true);
  with gone as (
    delete from {{schema}}.jobs where id = job_id returning *
  )
  insert into {{schema}}.finished (id, queue_name, state, run_count, priority, group_key, batch_id, created_at, expires_at, payload, error, progress, logs, meta)
  select gone.id, gone.queue_name, outcome, gone.run_count, gone.priority, gone.group_key, gone.batch_id, gone.created_at,
         coalesce(now() + keep.ms * interval '1 millisecond', 'infinity'), gone.payload, coalesce(error, gone.last_error), gone.progress, gone.logs, gone.meta
    from gone
    left join {{schema}}.queues as q on q.name = gone.queue_name
   cross join lateral (select case when q.name is null then 0 else q.cancelled_ms end
                            + case when gone.flags & 3 <> 0 then 3600000 else 0 end as ms) as keep
   where keep.ms is null or keep.ms > 0;
  perform set_config('taskmaster.outcome', '', true);
end $$;

-- Cancels a job, whoever has it: one that waits ends at once; one that runs is told, and ends when its handler does.
-- 'cancelled', 'aborting', or 'none' when there is nothing to cancel. What claims lock is locked first, so that none is under way.
create function {{schema}}.cancel(job_id bigint) returns text language plpgsql as $$
declare
  found_job {{schema}}.jobs;
begin
  perform {{schema}}.hold_lanes(array[job_id]);
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

-- Nothing of a queue starts until it is resumed, or until then; what runs goes on.
create function {{schema}}.pause(queue text, until timestamptz default null, reason text default null, by_whom text default current_user)
returns void language plpgsql as $$
begin
  insert into {{schema}}.queues as q (name, paused_at, paused_until, pause_reason, paused_by) values (queue, now(), until, reason, by_whom)
  on conflict (name) do update
    set paused_at = coalesce(q.paused_at, excluded.paused_at), paused_until = excluded.paused_until,
        pause_reason = excluded.pause_reason, paused_by = excluded.paused_by;
  perform pg_notify('{{channel}}', E'\x01paused:' || queue) where pg_notification_queue_usage() < 0.5;
end $$;

create function {{schema}}.resume(queue text) returns void language plpgsql as $$
begin
  update {{schema}}.queues set paused_at = null, paused_until = null, pause_reason = null, paused_by = null
   where name = queue and paused_at is not null;
  if found then
    perform pg_notify('{{channel}}', E'\x01resumed:' || queue) where pg_notification_queue_usage() < 0.5;
  end if;
end $$;

-- Enqueueing ---------------------------------------------------------------------------------------------------------------
-- Two payloads in one: arrays are concatenated, objects assigned key by key, anything else is replaced.
create function {{schema}}.merge_payloads(old jsonb, new jsonb) returns jsonb language sql immutable as $$
  select case
    when jsonb_typeof(old) = 'array' and jsonb_typeof(new) = 'array' then old || new
    when jsonb_typeof(old) = 'object' and jsonb_typeof(new) = 'object' then
      (select coalesce(jsonb_object_agg(key, case
                when jsonb_typeof(old -> key) = 'array' and jsonb_typeof(new -> key) = 'array' then (old -> key) || (new -> key)
                else coalesce(new -> key, old -> key) end), '{}')
         from (select jsonb_object_keys(old) as key union select jsonb_object_keys(new)) as keys)
    else new end
$$;

-- Inserts one job, given as an element of what enqueue_jobs() takes. Without `u` it is always new.
create function {{schema}}.insert_job(job jsonb, job_id bigint, unique_key text) returns bigint language plpgsql as $$
declare
  due timestamptz := coalesce((job ->> 'at')::timestamptz, now() + (job ->> 'd')::double precision * interval '1 millisecond');
  parents bigint[];
  -- What becomes of the job when the parent at the same place fails.
  policies text[];
  failed bigint[];
  waits integer := 0;
  verdict text;
  inserted bigint;
begin
  select coalesce(array_agg(edge.id), '{}'), array_agg(edge.policy) into parents, policies
    from (select distinct on (id) coalesce(dep ->> 'i', dep #>> '{}')::bigint as id, coalesce(dep ->> 'p', job ->> 'pf', 'c') as policy
            from jsonb_array_elements(job -> 'dep') as dep order by id) as edge;
  if parents <> '{}' then
    -- Those that are still there are locked until this commits: they cannot end without seeing their child.
    with locked as (
      select j.id, j.failed_at from {{schema}}.jobs as j where j.id = any (parents) order by j.id for update
    ), marked as (
      update {{schema}}.jobs as j set flags = j.flags | 1 from locked where j.id = locked.id and locked.failed_at is null returning j.id
    )
    select (select count(*) from marked), array(select locked.id from locked where failed_at is not null) into waits, failed;
    failed := failed || array(select f.id from {{schema}}.finished as f where f.id = any (parents) and f.state <> 'completed');
    select min(edge.policy) into verdict  -- c before f
      from unnest(parents, policies) as edge(id, policy) where edge.id = any (failed) and edge.policy <> 'i';
  end if;
  insert into {{schema}}.jobs (id, queue_name, payload, run_at, ready_at, priority, max_attempts, meta, unique_key, group_key, group_slots, flags, wait_count, batch_id, expires_at)
  values (job_id, job ->> 'q', job -> 'p', case when waits > 0 or verdict is not null then 'infinity' else due end, due,
          coalesce((job ->> 'pr')::smallint, 0::smallint), (job ->> 'm')::integer,
          case when job ? 'b' then coalesce(job -> 'x', '{}') || jsonb_build_object('batch', jsonb_build_object('id', job ->> 'b')) else job -> 'x' end,
          insert_job.unique_key,
          job ->> 'g', (job ->> 'gs')::integer, (coalesce((job ->> 'f')::integer, 0) | case when job ? 'b' then 16 else 0 end | case when parents = '{}' then 0 else 32 end)::smallint, waits, (job ->> 'b')::bigint, (job ->> 'ex')::timestamptz)
  on conflict do nothing
  returning id into inserted;
  if inserted is null then
    return null;
  end if;
  if parents = '{}' then
    return inserted;
  end if;
  insert into {{schema}}.dependencies (parent_id, child_id, on_failure, outcome)
  select parent.id, inserted, parent.policy::"char",
         case when j.id is not null and j.failed_at is null then null when j.id is not null then 'failed' else coalesce(f.state, 'completed') end
    from unnest(parents, policies) as parent(id, policy)
    left join {{schema}}.jobs as j on j.id = parent.id
    left join {{schema}}.finished as f on f.id = parent.id and j.id is null;
  if verdict = 'f' then
    perform {{schema}}.fail_waiting(inserted, {{schema}}.parent_failed());
  elsif verdict = 'c' then
    perform {{schema}}.end_waiting(inserted, 'cancelled', {{schema}}.parent_failed());
  end if;
  return inserted;
end $$;

-- The key of a unique job: given, or made of the values of fields. Long ones are hashed.
create function {{schema}}.unique_key(rule jsonb) returns text language sql immutable as $$
  select case when octet_length(key) > 256 then 'md5:' || md5(key) else key end
    from (select coalesce(rule ->> 'k', (rule -> 'v')::text) as key) as given
$$;

-- The version of the payload of a job with this meta.
create function {{schema}}.version_in(meta jsonb) returns integer language sql immutable as $$
  select case when jsonb_typeof(meta -> 'version') = 'number' and (meta ->> 'version')::numeric between 1 and 2147483647
              then (meta ->> 'version')::numeric::integer else 1 end
$$;

-- Enqueues one unique job: see the comment of enqueue_jobs() for `u`. Waits for whoever inserts or changes a job of the same key.
create function {{schema}}.insert_unique(job jsonb, out job_id bigint, out deduplicated boolean) language plpgsql as $$
declare
  rule jsonb := job -> 'u';
  key text := {{schema}}.unique_key(rule);
  queue text := job ->> 'q';
  policy text := coalesce(rule ->> 'c', 'keep');
  existing {{schema}}.jobs;
  holder bigint;
  is_running boolean;
  apart boolean;
  delay interval := (rule ->> 'w')::double precision * interval '1 millisecond';
begin
  if policy = 'debounce' then
    job := job - '{at}'::text[] || jsonb_build_object('d', (rule ->> 'w')::double precision);
  end if;
  job_id := nextval(pg_get_serial_sequence('{{schema}}.jobs', 'id'));
  deduplicated := false;
  if rule ? 'ms' then
    insert into {{schema}}.unique_keys as kept (queue_name, unique_key, job_id, expires_at)
    values (queue, key, job_id, coalesce(now() + (rule ->> 'ms')::double precision * interval '1 millisecond', 'infinity'))
    on conflict on constraint unique_keys_pkey do update set job_id = excluded.job_id, expires_at = excluded.expires_at
      where kept.expires_at <= now()
    returning kept.job_id into holder;
    if holder is null then
      select kept.job_id into holder from {{schema}}.unique_keys as kept where kept.queue_name = queue and kept.unique_key = key;
      if policy = 'keep' or not exists (select from {{schema}}.jobs as j where j.id = holder and j.failed_at is null) then
        job_id := holder;
        deduplicated := true;
        return;
      end if;
    end if;
  end if;
  loop
    if {{schema}}.insert_job(job, job_id, key) is not null then
      update {{schema}}.unique_keys as kept set job_id = insert_unique.job_id
       where rule ? 'ms' and kept.queue_name = queue and kept.unique_key = key;
      return;
    end if;
    select * into existing from {{schema}}.jobs as j
     where j.queue_name = queue and j.unique_key = key and j.failed_at is null for update;
    continue when not found;  -- it has just ended
    -- Whoever claims a unique job locks its row too, so this is how it is, and stays so until this commits.
    is_running := existing.run_at is null and exists (
      select from {{schema}}.leases as l where l.queue_name = queue and l.priority = existing.priority and existing.seq = any (l.seqs));
    -- Payloads of different versions do not become one, nor such as only their queue's definition can read.
    apart := not is_running and (
      policy = 'merge' and ({{schema}}.version_in(existing.meta) <> {{schema}}.version_in(job -> 'x')
                            or coalesce(existing.payload ? '$encrypted' or job -> 'p' ? '$encrypted', false))
      or policy = 'reduce' and rule ? 'a' and rule ->> 'e' = existing.id::text);
    exit when not apart and (not is_running or policy <> 'abort' and (rule ? 'ms' or rule ->> 's' <> 'p'));
    -- The one that runs, or cannot be merged with, gives its key to the one that is to come.
    update {{schema}}.jobs set unique_key = null, flags = flags | case when policy = 'abort' then 4 else 0 end where id = existing.id;
    if policy = 'abort' then
      job := job || jsonb_build_object('dep', jsonb_build_array(existing.id), 'pf', 'i');  -- it starts when the other has ended
      perform pg_notify('{{channel}}', E'\x01cancel:' || existing.id) where pg_notification_queue_usage() < 0.5;
    end if;
  end loop;

  job_id := existing.id;
  deduplicated := true;
  update {{schema}}.unique_keys as kept set job_id = existing.id
   where rule ? 'ms' and kept.queue_name = queue and kept.unique_key = key;
  if is_running or policy = 'keep' then
    return;
  end if;
  if policy = 'reduce' and existing.id::text is distinct from rule ->> 'e' then
    job_id := null;  -- another one than was reduced with
    return;
  end if;
  update {{schema}}.jobs as j
     set payload = case when policy = 'merge' then {{schema}}.merge_payloads(existing.payload, job -> 'p') else job -> 'p' end,
         meta = case when existing.batch_id is null then job -> 'x'
                     else coalesce(job -> 'x', '{}') || jsonb_build_object('batch', jsonb_build_object('id', existing.batch_id::text)) end,
         max_attempts = (job ->> 'm')::integer,
         expires_at = case when policy in ('merge', 'reduce') then existing.expires_at else (job ->> 'ex')::timestamptz end,
         run_at = case when existing.wait_count > 0 then existing.run_at
                       when policy in ('merge', 'reduce') then existing.run_at
                       when policy = 'debounce' then least(now() + delay, existing.created_at + (rule ->> 'mw')::double precision * interval '1 millisecond')
                       else coalesce((job ->> 'at')::timestamptz, now() + (job ->> 'd')::double precision * interval '1 millisecond') end,
         run_count = case when policy in ('merge', 'reduce') then existing.run_count else 0 end,
         -- One that was left to newer workers is of the version of its payload.
         left_version = case when policy in ('merge', 'reduce') and existing.left_version is not null then {{schema}}.version_in(job -> 'x') end,
         seq = nextval('{{schema}}.jobs_seq')
   where j.id = existing.id;
  update {{schema}}.jobs as j set ready_at = coalesce(j.run_at, now()) where j.id = existing.id and policy not in ('merge', 'reduce') and j.run_at is distinct from 'infinity';
  perform {{schema}}.ring(case when j.run_at is null then queue else '' end) from {{schema}}.jobs as j where j.id = existing.id;
end $$;

-- The job that holds a unique key and waits, for a reducer: locked, so that it is neither claimed nor changed until the transaction ends. No row: there
-- is none, or it runs. The rule is `u` of what enqueue_jobs() takes.
create function {{schema}}.hold_unique(queue text, rule jsonb) returns table (id bigint, payload jsonb, version integer) language plpgsql as $$
declare
  existing {{schema}}.jobs;
begin
  select * into existing from {{schema}}.jobs as j
   where j.queue_name = queue and j.unique_key = {{schema}}.unique_key(rule) and j.failed_at is null for update;
  -- Looked at after the lock: whoever claims a unique job locks its row too.
  if existing.id is null or existing.run_at is null and exists (
       select from {{schema}}.leases as l where l.queue_name = queue and l.priority = existing.priority and existing.seq = any (l.seqs)) then
    return;
  end if;
  id := existing.id;
  payload := existing.payload;
  version := {{schema}}.version_in(existing.meta);
  return next;
end $$;

-- Inserts jobs that have neither a unique key nor dependencies, elements of what enqueue_jobs() takes, by one statement; ids in input order.
create function {{schema}}.insert_jobs(jobs jsonb) returns setof bigint language sql as $$
  insert into {{schema}}.jobs (queue_name, payload, run_at, ready_at, priority, max_attempts, meta, group_key, group_slots, flags, batch_id, expires_at)
  select job ->> 'q', job -> 'p', due, due, coalesce((job ->> 'pr')::smallint, 0::smallint), (job ->> 'm')::integer,
         case when job ? 'b' then coalesce(job -> 'x', '{}') || jsonb_build_object('batch', jsonb_build_object('id', job ->> 'b')) else job -> 'x' end,
         job ->> 'g', (job ->> 'gs')::integer, (coalesce((job ->> 'f')::integer, 0) | case when job ? 'b' then 16 else 0 end)::smallint,
         (job ->> 'b')::bigint, (job ->> 'ex')::timestamptz
    from jsonb_array_elements(jobs) as new(job)
   cross join lateral (
     select coalesce((job ->> 'at')::timestamptz, now() + (job ->> 'd')::double precision * interval '1 millisecond') as due) as time
  returning id
$$;

-- Enqueues jobs of every kind, in one transaction; ids in input order. An element has: q queue, p payload, at run at (ISO 8601) or d delay
-- (ms), ex expires at (ISO 8601), pr priority, m maxAttempts, x meta, g group, gs group slots, f flags, b batch, dep what it depends on, ids or { i id, p policy }, with pf (c, f or i: what
-- becomes of it when one fails, where the policy does not say so), u unique: { k key or v values of fields, s scope p(ending) or a(ctive), ms period (null: for ever), c onConflict, w and mw
-- waits of a debounce (ms), e the job that was reduced with: where it is another one that waits, nothing is stored and the id is null; a: with which this one cannot be }. Keys are taken in their order, so that two calls cannot wait for each other in a circle.
create function {{schema}}.enqueue_jobs(jobs json) returns table (id bigint, deduplicated boolean) language plpgsql as $$
declare
  ids bigint[] := array_fill(null::bigint, array[json_array_length(jobs)]);
  known boolean[] := array_fill(false, array[json_array_length(jobs)]);
  element record;
  made record;
  batch record;
begin
  -- A batch cannot end while jobs are added to it.
  for batch in select distinct (new.job ->> 'b')::bigint as id from json_array_elements(jobs) as new(job) where new.job ->> 'b' is not null order by 1 loop
    perform from {{schema}}.batches as b where b.id = batch.id and b.finished_at is null for update;
    if not found then
      raise exception 'batch % has ended, or does not exist', batch.id using errcode = 'P0B01';
    end if;
  end loop;
  if not exists (select from jsonb_array_elements(jobs::jsonb) as new(job) where new.job ?| '{u,dep}') then
    ids := array(select {{schema}}.insert_jobs(jobs::jsonb));
  else
    perform {{schema}}.lock_jobs({{schema}}.parents_in(jobs));
  end if;
  for element in
    select new.job::jsonb as job, new.place::integer as place from json_array_elements(jobs) with ordinality as new(job, place)
     where ids[new.place] is null
     order by new.job ->> 'q' collate "C", {{schema}}.unique_key((new.job -> 'u')::jsonb) collate "C" nulls first, new.place
  loop
    if element.job ? 'u' then
      select * into made from {{schema}}.insert_unique(element.job);
      ids[element.place] := made.job_id;
      known[element.place] := made.deduplicated;
    else
      ids[element.place] := {{schema}}.insert_job(element.job, nextval(pg_get_serial_sequence('{{schema}}.jobs', 'id')), null);
    end if;
  end loop;
  update {{schema}}.batches as b set total = b.total + added.jobs
    from (select (new.job ->> 'b')::bigint as id, count(*) as jobs from json_array_elements(jobs) with ordinality as new(job, place)
           where new.job ->> 'b' is not null and not known[new.place] group by 1) as added
   where b.id = added.id;
  return query select * from unnest(ids, known);
end $$;

-- Claiming -----------------------------------------------------------------------------------------------------------------
-- The meta of a job as a claim hands it out: with the time that is left to begin it. By the clock, not by the transaction's
-- begin: whoever claims from an old snapshot and had to wait for a lock must not begin a job that has expired meanwhile.
create function {{schema}}.claimed_meta(meta jsonb, expires_at timestamptz) returns jsonb language sql volatile as $$
  select case
    when expires_at is null then meta
    else case when jsonb_typeof(meta) = 'object' then meta else '{}' end
         || jsonb_build_object('expiresInMs', (extract(epoch from expires_at - clock_timestamp()) * 1000)::double precision)
  end
$$;

-- A job as a claim hands it out, a JSON array; the claim of plain jobs spells it out, for speed. Text, because to build JSON of many
-- arguments looks up their types for each job.
create function {{schema}}.job_tuple(j {{schema}}.jobs) returns text language sql volatile as $$
  select concat('["', j.id, '","', j.seq, '",', to_json(j.created_at), ',', j.payload, ',', j.run_count, ',', j.crash_count, ',',
                coalesce(j.max_attempts::text, 'null'), ',', coalesce(to_json(j.ready_at)::text, 'null'), ',',
                coalesce(to_json(j.group_key)::text, 'null'), ',', j.flags, ',',
                coalesce({{schema}}.claimed_meta(j.meta, j.expires_at)::text, 'null'), ']')
$$;

-- Replaces that of the first migration: leases name their jobs by id.
create or replace view {{schema}}.running as
  select job.id, job.queue_name, lease.claimed_at as locked_at, lease.worker_id as locked_by, worker.name as worker, lease.id as lease_id
    from {{schema}}.leases as lease
   cross join lateral unnest(lease.seqs, lease.ids) as leased(seq, id)
    join {{schema}}.jobs as job on job.id = leased.id and job.seq = leased.seq and job.run_at is null
    left join {{schema}}.workers as worker on worker.id = lease.worker_id;

-- Of jobs of a queue that somebody is about to take, those that nobody is changing: whoever changes or takes a unique job locks its row.
-- A queue without unique jobs pays one probe.
create function {{schema}}.untouched(queue text, candidates bigint[]) returns bigint[] language plpgsql as $$
begin
  if not exists (select from {{schema}}.jobs as j where j.queue_name = queue and j.unique_key is not null and j.failed_at is null) then
    return candidates;
  end if;
  return (
    with held as materialized (
      select j.id from {{schema}}.jobs as j
       where j.id = any (candidates) and j.unique_key is not null and j.run_at is null for update skip locked
    )
    select array(
      select j.id
        from unnest(candidates) with ordinality as candidate(id, place) join {{schema}}.jobs as j on j.id = candidate.id
       where j.unique_key is null or j.id in (select held.id from held)
       order by candidate.place));
end $$;

-- Finds what claims of ungrouped jobs cannot see: lanes of priorities that are new, and jobs that committed behind a lane's head because
-- their transaction overlapped a claim. The lane is locked first, so that the search, whose snapshot is taken afterwards, sees every lease.
-- `deep` searches from the beginning instead of from `low`. A row a lease, then one without: its `lane` counts the lanes still to be swept.
create function {{schema}}.sweep(worker integer, queues text[], limits integer[], deep boolean)
returns table (queue text, lane smallint, lease bigint, jobs text) language plpgsql as $$
declare
  wanted record;
  gate record;
  ids bigint[];
  free_ids bigint[];
  complete boolean;
  now_xmin xid8;
  now_xmax xid8;
begin
  for wanted in select q, l from unnest(queues, limits) as w(q, l) where l > 0 loop
    insert into {{schema}}.lanes (queue_name, priority)
    select wanted.q, gap.found
      from (select (select job.priority from {{schema}}.jobs as job
                     where job.queue_name = wanted.q and job.run_at is null and job.group_key is null
                       and job.priority > known.priority and job.priority < known.next
                     order by job.priority limit 1) as found
              from (select edge.priority, lead(edge.priority, 1, 32768) over (order by edge.priority) as next
                      from (select -32769 as priority
                            union all select l.priority from {{schema}}.lanes as l where l.queue_name = wanted.q) as edge) as known) as gap
     where gap.found is not null
    on conflict do nothing;

    for gate in
      select l.priority, l.head, case when deep then 0 else l.low end as low, l.mark, l.mark_xmax
        from {{schema}}.lanes as l
       where l.queue_name = wanted.q and l.mode = 'c' and (deep or l.low < l.head)
         and not exists (select from {{schema}}.queues as q where q.name = wanted.q and q.paused_at is not null and coalesce(q.paused_until, 'infinity') > now())
       order by l.priority
         for update of l skip locked
    loop
      exit when wanted.l <= 0;
      with leased as materialized (
        select unnest(l.seqs) as seq from {{schema}}.leases as l where l.queue_name = wanted.q and l.priority = gate.priority
      )
      select array(select j.id from {{schema}}.jobs as j
                    where j.queue_name = wanted.q and j.priority = gate.priority and j.run_at is null and j.group_key is null and not j.run_alone
                      and j.seq > gate.low and j.seq <= gate.head
                      and not exists (select from leased where leased.seq = j.seq)
                    order by j.seq
                    limit wanted.l),
             pg_snapshot_xmin(s), pg_snapshot_xmax(s)
        into ids, now_xmin, now_xmax
        from pg_current_snapshot() as s;
      complete := cardinality(ids) < wanted.l;
      if ids <> '{}' then
        free_ids := {{schema}}.untouched(wanted.q, ids);
        complete := complete and free_ids = ids;
        -- One that was replaced since it was found has a new place, beyond the head: claims find it there.
        ids := array(select j.id from {{schema}}.jobs as j where j.id = any (free_ids) and j.seq <= gate.head order by j.seq);
        select taken.lease, taken.jobs into lease, jobs from {{schema}}.lease_jobs(worker, wanted.q, ids, gate.priority) as taken;
        if lease is not null then
          queue := wanted.q;
          lane := gate.priority;
          wanted.l := wanted.l - cardinality(ids);
          return next;
        end if;
      end if;
      if complete and now_xmin >= gate.mark_xmax then
        update {{schema}}.lanes as l set low = gate.mark, mark = gate.head, mark_xmax = now_xmax
         where l.queue_name = wanted.q and l.priority = gate.priority and l.low < l.head;
      end if;
    end loop;
  end loop;
  queue := null;
  lease := null;
  jobs := null;
  select count(*) into lane from {{schema}}.lanes as l where l.queue_name = any (queues) and l.mode = 'c' and l.low < l.head;
  return next;
end $$;

-- Records that a worker has these jobs, in this order: a lease for each lane they are in, or of one lane alone. Whoever calls has locked
-- what guards them.
create function {{schema}}.lease_jobs(worker integer, queue text, candidates bigint[], lane smallint default null)
returns table (of_lane smallint, lease bigint, jobs text) language sql rows 1 as $$
  with found as materialized (
    select j as job, j.priority, candidate.place
      from unnest(candidates) with ordinality as candidate(id, place) join {{schema}}.jobs as j on j.id = candidate.id
     where j.run_at is null and (lane is null or j.priority = lane)
  ), written as (
    insert into {{schema}}.leases (worker_id, queue_name, priority, seqs, ids)
    select worker, queue, found.priority, array_agg((found.job).seq), array_agg((found.job).id) from found group by found.priority
    returning id, priority
  )
  select written.priority, written.id, '[' || string_agg({{schema}}.job_tuple(found.job), ',' order by found.place) || ']'
    from written join found on found.priority = written.priority
   group by written.priority, written.id
   order by written.priority
$$;

-- Takes jobs that the claim of plain ones leaves alone: those of queues with limits, and those in groups. The row of the queue is locked
-- first: what is counted after that, on a snapshot younger than the lock, is how it is, whatever other workers do.
-- `limits` is how many jobs are wanted of each queue, `frees` how many of them could start at once; the others wait in the worker for a
-- moment, which a rate limit must allow for. `alone`: one on its last chance (see jobs.run_alone), or none of those. A row a lease; rows without one tell after how many milliseconds to come again.
create function {{schema}}.claim_limited(worker integer, wanted_queues text[], limits integer[], frees integer[], alone boolean default false)
returns table (queue text, lane smallint, lease bigint, jobs text, wait_ms double precision) language plpgsql as $$
declare
  wanted record;
  q {{schema}}.queues;
  room integer;
  picked bigint[];
  part text;
  by_group jsonb;
  running integer;
  has_groups boolean;
  leased bigint[];
  rate record;
  grouped record;
begin
  for wanted in select w.name, w.most, w.free from unnest(wanted_queues, limits, frees) as w(name, most, free) where w.most > 0 loop
    queue := wanted.name;
    lease := null;
    jobs := null;
    lane := null;
    wait_ms := null;
    insert into {{schema}}.queues (name) select wanted.name where not exists (select from {{schema}}.queues as s where s.name = wanted.name)
      on conflict do nothing;
    select * into q from {{schema}}.queues as s where s.name = wanted.name for update skip locked;
    if not found then
      wait_ms := 2;
      return next;
      continue;
    end if;
    continue when q.paused_at is not null and coalesce(q.paused_until, 'infinity') > now();
    if q.held_until > clock_timestamp() then
      wait_ms := extract(epoch from q.held_until - clock_timestamp()) * 1000;
      return next;
      continue;
    end if;

    by_group := '{}';
    has_groups := exists (select from {{schema}}.jobs as j where j.queue_name = wanted.name and j.run_at is null and j.group_key is not null);
    -- At most: a lease still names those of its jobs that have ended. They are counted one by one where that matters.
    select coalesce(sum(cardinality(l.seqs)), 0) into running from {{schema}}.leases as l where l.queue_name = wanted.name;
    if has_groups or running + wanted.most > q.max_running then
      select coalesce(sum(r.n), 0), coalesce(jsonb_object_agg(r.group_key, r.n) filter (where r.group_key is not null), '{}')
        into running, by_group
        from (select j.group_key, count(*) as n
                from {{schema}}.leases as l cross join lateral unnest(l.seqs, l.ids) as h(seq, id)
                join {{schema}}.jobs as j on j.id = h.id and j.seq = h.seq
               where l.queue_name = wanted.name group by 1) as r;
    end if;
    leased := array(select unnest(l.seqs) from {{schema}}.leases as l where l.queue_name = wanted.name);
    room := least(wanted.most, coalesce(q.max_running - running, wanted.most));
    if q.rate_limit is not null and not q.rate_by_group then
      select * into rate from {{schema}}.rate_room(q, '', wanted.free);
      room := least(room, rate.room);
      wait_ms := rate.wait_ms;
    end if;
    if room <= 0 then
      if wait_ms is not null then
        return next;
      end if;
      continue;
    end if;

    wait_ms := null;
    picked := '{}';
    -- By turns: neither those without a group nor those in groups hold up the others.
    foreach part in array case when random() < 0.5 then '{lanes,groups}' else '{groups,lanes}' end::text[] loop
      if part = 'lanes' and q.limited then
        picked := picked || {{schema}}.pick_ungrouped(wanted.name, room - cardinality(picked), leased, alone);
      elsif part = 'groups' and has_groups then
        select * into grouped from {{schema}}.pick_grouped(q, room - cardinality(picked), wanted.free, by_group, leased, alone);
        picked := picked || grouped.ids;
        wait_ms := grouped.wait_ms;
      end if;
    end loop;
    if picked <> '{}' then
      for lane, lease, jobs in
        select taken.of_lane, taken.lease, taken.jobs from {{schema}}.lease_jobs(worker, wanted.name, picked) as taken
      loop
        return next;
      end loop;
      -- Last: what is counted as a start must not be earlier than it was.
      if q.rate_limit is not null and q.rate_by_group then
        insert into {{schema}}.starts (queue_name, group_key, started_at, jobs)
        select wanted.name, coalesce(j.group_key, ''), clock_timestamp(), count(*)
          from {{schema}}.jobs as j where j.id = any (picked) group by 2;
      elsif q.rate_limit is not null then
        insert into {{schema}}.starts (queue_name, group_key, started_at, jobs)
        values (wanted.name, '', clock_timestamp(), cardinality(picked));
      end if;
    end if;
    if wait_ms is not null then
      lease := null;
      jobs := null;
      return next;
    end if;
  end loop;
end $$;

-- What a rate limit allows now, of a queue or of a group. A job may wait for 2 seconds in the worker that has taken it: more than what
-- can start at once is handed out only as far as the limit would hold whenever they start.
create function {{schema}}.rate_room(q {{schema}}.queues, of_group text, free integer, out room integer, out wait_ms double precision)
language plpgsql as $$
declare
  at timestamptz := clock_timestamp();
  period interval := q.rate_period_ms * interval '1 millisecond';
  used integer;
  lately integer;
  oldest timestamptz;
begin
  delete from {{schema}}.starts as s
   where s.queue_name = q.name and s.group_key = of_group and s.started_at < at - period - interval '3 seconds';
  select coalesce(sum(s.jobs) filter (where s.started_at > at - period), 0), coalesce(sum(s.jobs), 0),
         min(s.started_at) filter (where s.started_at > at - period)
    into used, lately, oldest
    from {{schema}}.starts as s where s.queue_name = q.name and s.group_key = of_group;
  room := greatest(0, least(free, q.rate_limit - used), q.rate_limit - lately);
  if used >= q.rate_limit then
    wait_ms := greatest(1, extract(epoch from oldest + period - at) * 1000);
  end if;
end $$;

-- Ready jobs without a group of a queue with limits, in the order of its lanes. Their lanes are kept as by claims and sweeps.
create function {{schema}}.pick_ungrouped(queue text, most integer, leased bigint[], alone boolean) returns bigint[] language plpgsql as $$
declare
  picked bigint[] := '{}';
  found_ids bigint[];
  free_ids bigint[];
  last bigint;
  gate record;
  now_xmin xid8;
  now_xmax xid8;
begin
  for gate in
    select l.priority, l.head, l.low, l.mark, l.mark_xmax from {{schema}}.lanes as l
     where l.queue_name = queue and l.mode = 'l' order by l.priority for update of l
  loop
    exit when cardinality(picked) >= most;
    with taken as materialized (
      select j.id, j.seq from {{schema}}.jobs as j
       where j.queue_name = queue and j.priority = gate.priority and j.run_at is null and j.group_key is null and j.run_alone = alone and j.seq > gate.low
         and j.seq not in (select unnest(leased))
       order by j.seq
       limit most - cardinality(picked)
    )
    select array(select taken.id from taken order by taken.seq), (select max(taken.seq) from taken), pg_snapshot_xmin(s), pg_snapshot_xmax(s)
      into found_ids, last, now_xmin, now_xmax
      from pg_current_snapshot() as s;
    free_ids := {{schema}}.untouched(queue, found_ids);
    -- Everything up to `last`, or everything there is, has been handed out.
    if (cardinality(picked) + cardinality(found_ids) < most or gate.mark <= last) and now_xmin >= gate.mark_xmax and not alone
       and free_ids = found_ids
       and not exists (select from {{schema}}.jobs as j where j.queue_name = queue and j.priority = gate.priority and j.run_at is null and j.run_alone) then
      update {{schema}}.lanes as l set low = gate.mark, mark = greatest(gate.head, last), mark_xmax = now_xmax, head = greatest(gate.head, last)
       where l.queue_name = queue and l.priority = gate.priority;
    elsif last > gate.head then
      update {{schema}}.lanes as l set head = last where l.queue_name = queue and l.priority = gate.priority;
    end if;
    picked := picked || free_ids;
  end loop;
  return picked;
end $$;

-- The members of a group that may start. Where order matters they are among the first of those that have not ended, ready or not, as
-- many as the group has slots: one that waits for its time, its retry or its parents holds up those behind it.
create function {{schema}}.group_heads(q {{schema}}.queues, of_group text, slots integer, most integer, leased bigint[], taken bigint[], alone boolean)
returns bigint[] language plpgsql as $$
begin
  if not q.group_fifo then
    return array(select j.id from {{schema}}.jobs as j
                  where j.queue_name = q.name and j.group_key = of_group and j.run_at is null and j.run_alone = alone
                    and j.seq <> all (leased) and j.id <> all (taken)
                  order by j.priority, j.seq limit most);
  end if;
  return array(
    select head.id
      from (select member.* from (
              (select j.id, j.seq, j.run_at, j.run_alone, j.failed_at from {{schema}}.jobs as j
                where j.queue_name = q.name and j.group_key = of_group and j.failed_at is null order by j.id limit slots)
              union all
              (select j.id, j.seq, j.run_at, j.run_alone, j.failed_at from {{schema}}.jobs as j
                where q.group_block and j.queue_name = q.name and j.group_key = of_group and j.failed_at is not null order by j.id limit slots)
            ) as member order by member.id limit slots) as head
     where head.failed_at is null and head.run_at is null and head.run_alone = alone and head.seq <> all (leased) and head.id <> all (taken)
     order by head.id limit most);
end $$;

-- Ready jobs in groups, a few of each group in turn, beginning after the group that was served last: a group with many jobs does not hold
-- up one with few. A look at a group costs two index probes, and no claim looks at more than a thousand.
create function {{schema}}.pick_grouped(q {{schema}}.queues, most integer, free integer, by_group jsonb, leased bigint[], alone boolean,
                                        out ids bigint[], out wait_ms double precision)
language plpgsql as $$
declare
  at_group text := q.group_cursor;
  wrapped boolean := false;
  looked integer := 0;
  quantum integer := greatest(1, most / 10);
  gained boolean := false;
  allowed integer;
  slots integer;
  member bigint[];
  rate record;
begin
  ids := '{}';
  while cardinality(ids) < most and looked < 1000 loop
    select j.group_key, j.group_slots into at_group, slots from {{schema}}.jobs as j
     where j.queue_name = q.name and j.run_at is null and j.group_key is not null and j.group_key > at_group
     order by j.group_key, j.priority, j.seq limit 1;
    if not found then
      exit when wrapped and not gained;
      wrapped := true;
      gained := false;
      at_group := '';
      looked := looked + 1;
      continue;
    end if;
    looked := looked + 1;
    slots := coalesce(slots, q.group_slots);
    allowed := least(slots - coalesce((by_group ->> at_group)::integer, 0), quantum, most - cardinality(ids));
    continue when allowed <= 0;
    if q.rate_by_group and q.rate_limit is not null then
      select * into rate from {{schema}}.rate_room(q, at_group, free);
      allowed := least(allowed, rate.room - coalesce((by_group ->> (E'\x01' || at_group))::integer, 0));
      wait_ms := least(wait_ms, rate.wait_ms);
      continue when allowed <= 0;
    end if;
    member := {{schema}}.untouched(q.name, {{schema}}.group_heads(q, at_group, slots, allowed, leased, ids, alone));
    continue when member = '{}';
    gained := true;
    ids := ids || member;
    by_group := by_group
      || jsonb_build_object(at_group, coalesce((by_group ->> at_group)::integer, 0) + cardinality(member))
      || jsonb_build_object(E'\x01' || at_group, coalesce((by_group ->> (E'\x01' || at_group))::integer, 0) + cardinality(member));
  end loop;
  update {{schema}}.queues set group_cursor = at_group where name = q.name and group_cursor <> at_group and ids <> '{}';
end $$;

-- One job whose last chance it is (see jobs.run_alone), for a worker that runs nothing else. Same locking as sweep(), and as claim_limited()
-- for queues with limits and jobs in groups.
create function {{schema}}.claim_alone(worker integer, queues text[])
returns table (queue text, lane smallint, lease bigint, jobs text) language plpgsql as $$
declare
  candidate record;
  ids bigint[];
begin
  for candidate in
    select distinct job.queue_name, job.priority, job.group_key is not null or coalesce(q.limited, false) as counted
      from {{schema}}.jobs as job left join {{schema}}.queues as q on q.name = job.queue_name
     where job.run_at is null and job.run_alone and job.queue_name = any (queues)
       and (q.held_until > now() or q.paused_at is not null and coalesce(q.paused_until, 'infinity') > now()) is not true
     order by job.priority, job.queue_name
  loop
    if candidate.counted then
      select c.queue, c.lane, c.lease, c.jobs into queue, lane, lease, jobs
        from {{schema}}.claim_limited(worker, array[candidate.queue_name], '{1}', '{1}', true) as c where c.lease is not null;
    else
      perform from {{schema}}.lanes as l
        where l.queue_name = candidate.queue_name and l.priority = candidate.priority and l.mode = 'c' for update skip locked;
      continue when not found;
      ids := array(select j.id from {{schema}}.jobs as j
                    where j.queue_name = candidate.queue_name and j.priority = candidate.priority and j.group_key is null
                      and j.run_at is null and j.run_alone
                      and not exists (select from {{schema}}.leases as l
                                       where l.queue_name = j.queue_name and l.priority = j.priority and j.seq = any (l.seqs))
                    order by j.seq
                    limit 1);
      queue := candidate.queue_name;
      lane := candidate.priority;
      select taken.lease, taken.jobs into lease, jobs
        from {{schema}}.lease_jobs(worker, queue, {{schema}}.untouched(queue, ids), lane) as taken;
    end if;
    if lease is not null then
      return next;
      return;
    end if;
  end loop;
end $$;

-- Lifts the priority of jobs that have waited: of queues that ask for it, by one for each period, never above the best lane there is.
create function {{schema}}.age_jobs(most integer) returns integer language plpgsql as $$
declare
  gate record;
  lifted integer;
  total integer := 0;
begin
  -- Lanes are opened by claims and sweeps: where all slots are taken, there may be none yet for what has come meanwhile.
  insert into {{schema}}.lanes (queue_name, priority)
  select q.name, present.priority
    from {{schema}}.queues as q
   cross join lateral (
     with recursive present as (
       (select j.priority from {{schema}}.jobs as j
         where j.queue_name = q.name and j.run_at is null and j.group_key is null order by j.priority limit 1)
       union all
       select (select j.priority from {{schema}}.jobs as j
                where j.queue_name = q.name and j.run_at is null and j.group_key is null and j.priority > present.priority
                order by j.priority limit 1)
         from present where present.priority is not null)
     select present.priority from present where present.priority is not null) as present
   where q.ageing_ms is not null
     and not exists (select from {{schema}}.lanes as l where l.queue_name = q.name and l.priority = present.priority)
   order by 1, 2
  on conflict do nothing;
  for gate in
    select l.queue_name, l.priority, q.ageing_ms, (select min(other.priority) from {{schema}}.lanes as other where other.queue_name = q.name) as best
      from {{schema}}.queues as q join {{schema}}.lanes as l on l.queue_name = q.name
     where q.ageing_ms is not null
     order by l.queue_name, l.priority
       for update of q, l skip locked
  loop
    with old as materialized (
      select j.id, least(floor(extract(epoch from now() - coalesce(j.ready_at, j.created_at)) * 1000 / gate.ageing_ms) - j.aged, j.priority - gate.best)::smallint as steps
        from {{schema}}.jobs as j
       where j.queue_name = gate.queue_name and j.priority = gate.priority and j.run_at is null and j.group_key is null
         and not exists (select from {{schema}}.leases as l
                          where l.queue_name = j.queue_name and l.priority = j.priority and j.seq = any (l.seqs))
       order by j.seq
       limit most
    ), up as (
      update {{schema}}.jobs as j
         set priority = j.priority - old.steps, aged = j.aged + old.steps, seq = nextval('{{schema}}.jobs_seq')
        from old where j.id = old.id and old.steps > 0
      returning j.queue_name, j.priority
    ), opened as (
      insert into {{schema}}.lanes (queue_name, priority) select distinct up.queue_name, up.priority from up on conflict do nothing
    )
    select count(*) into lifted from up;
    if lifted > 0 then
      update {{schema}}.lanes as l set epoch = l.epoch + 1 where l.queue_name = gate.queue_name and l.priority = gate.priority;
    end if;
    total := total + lifted;
  end loop;
  return total;
end $$;

-- Enqueues one job from any language; the options have the names and meanings of the library's.
create or replace function {{schema}}.enqueue(queue text, payload jsonb, options jsonb default '{}') returns bigint language plpgsql as $$
declare
  unknown text;
  problems text;
  given jsonb := options -> 'unique';
  conflict jsonb := given -> 'onConflict';
  rule jsonb;
  job_id bigint;
begin
  if queue is null or octet_length(queue) not between 1 and 128 or queue ~ '[\u0001-\u001f\u007f-\u009f]' then
    raise exception 'invalid queue name: 1 to 128 bytes of UTF-8 without control characters' using errcode = '22023';
  end if;
  if jsonb_typeof(options) is distinct from 'object' then
    raise exception 'options must be a JSON object' using errcode = '22023';
  end if;
  select string_agg(key, ', ') into unknown from jsonb_object_keys(options) as given_options(key)
   where key not in ('delayMs', 'runAt', 'priority', 'maxAttempts', 'timeoutMs', 'backoff', 'tags', 'headers', 'group', 'groupConcurrency',
                     'unique', 'dependsOn', 'onParentFailure', 'keepResult', 'expiresAt', 'version', 'batch');
  if unknown is not null then
    raise exception 'unknown option: %', unknown
      using errcode = '22023',
            hint = 'Known: delayMs, runAt, priority, maxAttempts, timeoutMs, backoff, tags, headers, group, groupConcurrency, unique, dependsOn, onParentFailure, keepResult, expiresAt, version, batch.';
  end if;
  if options ? 'delayMs' and options ? 'runAt' then
    raise exception 'delayMs and runAt exclude each other' using errcode = '22023';
  end if;
  select string_agg(name || ' must be ' || wanted, '; ') into problems
    from (values
      ('timeoutMs', 'a number of at least 1, or "Infinity"',
       case jsonb_typeof(options -> 'timeoutMs') when 'number' then (options ->> 'timeoutMs')::numeric >= 1 else options ->> 'timeoutMs' = 'Infinity' end),
      ('backoff', 'a number, an array or an object', jsonb_typeof(options -> 'backoff') in ('number', 'array', 'object')),
      ('tags', 'an array', jsonb_typeof(options -> 'tags') = 'array'),
      ('batch', 'the id of a batch', options ->> 'batch' ~ '^[1-9][0-9]{0,18}$'),
      ('version', 'a number of at least 1', jsonb_typeof(options -> 'version') = 'number' and (options ->> 'version')::numeric >= 1),
      ('headers', 'an object', jsonb_typeof(options -> 'headers') = 'object'),
      ('group', 'a string of 1 to 256 bytes', jsonb_typeof(options -> 'group') = 'string' and octet_length(options ->> 'group') between 1 and 256),
      ('groupConcurrency', 'a number of at least 1', jsonb_typeof(options -> 'groupConcurrency') = 'number' and (options ->> 'groupConcurrency')::numeric >= 1),
      ('dependsOn', 'an array of ids, or of { job, onFailure }', jsonb_typeof(options -> 'dependsOn') = 'array'),
      ('onParentFailure', '"cancel", "fail" or "ignore"', options ->> 'onParentFailure' in ('cancel', 'fail', 'ignore')),
      ('keepResult', 'true or false', jsonb_typeof(options -> 'keepResult') = 'boolean'),
      ('unique', 'an object with key (a string) or fields (an array of paths), and scope "pending", "active" or "forever"',
       jsonb_typeof(given) = 'object' and (coalesce(jsonb_typeof(given -> 'key'), '') = 'string') <> (coalesce(jsonb_typeof(given -> 'fields'), '') = 'array')
         and coalesce(given ->> 'scope', 'active') in ('pending', 'active', 'forever')
         and coalesce(jsonb_typeof(conflict), 'string') in ('string', 'object')
         and (coalesce(jsonb_typeof(conflict), 'string') = 'object' and jsonb_typeof(conflict -> 'debounceMs') = 'number'
              or coalesce(given ->> 'onConflict', 'keep') in ('keep', 'replace', 'merge', 'latest', 'abort')))) as rule(name, wanted, met)
   where options ? name and met is not true;
  if problems is not null then
    raise exception '%', problems using errcode = '22023';
  end if;
  if given is not null then
    rule := jsonb_strip_nulls(jsonb_build_object(
      'k', given ->> 'key',
      'v', (select jsonb_agg(payload #> string_to_array(path, '.') order by place) from jsonb_array_elements_text(given -> 'fields') with ordinality as f(path, place)),
      'c', case when jsonb_typeof(conflict) = 'object' then 'debounce' when conflict #>> '{}' = 'latest' then 'replace' else conflict #>> '{}' end,
      'w', conflict -> 'debounceMs', 'mw', conflict -> 'maxWaitMs',
      's', case when coalesce(given ->> 'scope', case when jsonb_typeof(conflict) = 'object' or conflict #>> '{}' in ('merge', 'latest') then 'pending' end) = 'pending' then 'p' else 'a' end));
    if given ? 'periodMs' or given ->> 'scope' = 'forever' then
      rule := rule || jsonb_build_object('ms', given -> 'periodMs');
    end if;
  end if;
  select enqueued.id into job_id
    from {{schema}}.enqueue_jobs(json_build_array(jsonb_strip_nulls(jsonb_build_object(
      'q', queue, 'at', options -> 'runAt', 'ex', options -> 'expiresAt', 'd', options -> 'delayMs', 'pr', options -> 'priority', 'm', options -> 'maxAttempts',
      'g', options -> 'group', 'gs', options -> 'groupConcurrency', 'pf', left(options ->> 'onParentFailure', 1), 'b', options ->> 'batch',
      'f', case when options -> 'keepResult' = 'true' then 2 end))
      || case when rule is null then '{}' else jsonb_build_object('u', rule) end
      || case when options ? 'dependsOn' then jsonb_build_object('dep', (
           select coalesce(jsonb_agg(case when jsonb_typeof(dep) = 'object' then jsonb_build_object('i', dep ->> 'job', 'p', left(dep ->> 'onFailure', 1)) else dep end), '[]')
             from jsonb_array_elements(options -> 'dependsOn') as dep)) else '{}' end
      || case when options - '{delayMs,runAt,priority,maxAttempts,group,groupConcurrency,unique,dependsOn,onParentFailure,keepResult,expiresAt,batch}'::text[] = '{}' then '{}'
              else jsonb_build_object('x', options - '{delayMs,runAt,priority,maxAttempts,group,groupConcurrency,unique,dependsOn,onParentFailure,keepResult,expiresAt,batch}'::text[]) end
      || jsonb_build_object('p', coalesce(payload, '{}')))) as enqueued;
  return job_id;
end $$;

-- What the jobs that a job depends on have come to, as far as it is kept.
create function {{schema}}.parents_of(job_id bigint) returns table (id bigint, queue text, outcome text, result jsonb) language sql stable as $$
  select dep.parent_id, f.queue_name, coalesce(dep.outcome, 'completed'), f.result
    from {{schema}}.dependencies as dep left join {{schema}}.finished as f on f.id = dep.parent_id
   where dep.child_id = job_id
   order by dep.parent_id
$$;

-- Maintenance ----------------------------------------------------------------------------------------------------------------
-- Forgets what is over: one worker at a time, a bounded amount a call. Answers with what kept it from making or dropping a partition,
-- if something did; without partitions the jobs that are kept go row by row.
create function {{schema}}.prune(most integer) returns text language plpgsql as $$
declare
  problem text;
  queue record;
  day date;
  part record;
begin
  if not pg_try_advisory_xact_lock(1413830742, hashtext('{{channel}}')) then
    return null;
  end if;
  delete from {{schema}}.unique_keys where ctid = any (array(
    select k.ctid from {{schema}}.unique_keys as k where k.expires_at < now() limit most));
  delete from {{schema}}.starts where started_at < now() - greatest(interval '1 hour',
    (select max(q.rate_period_ms) from {{schema}}.queues as q) * interval '1 millisecond' + interval '3 seconds');
  delete from {{schema}}.batches where id = any (array(
    select b.id from {{schema}}.batches as b where b.finished_at < now() - interval '7 days' limit most));
  for queue in select q.name, q.failed_ms from {{schema}}.queues as q where q.failed_ms is not null loop
    delete from {{schema}}.jobs where id = any (array(
      select j.id from {{schema}}.jobs as j
       where j.queue_name = queue.name and j.failed_at < now() - queue.failed_ms * interval '1 millisecond'
       order by j.failed_at limit most for update skip locked));
  end loop;
  delete from {{schema}}.finished_default where ctid = any (array(
    select f.ctid from {{schema}}.finished_default as f where f.expires_at < now() limit most));

  begin
    perform set_config('lock_timeout', '200ms', true);
    for part in
      select c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz as upper
        from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
       where i.inhparent = '{{schema}}.finished'::regclass and c.relname ~ '^finished_[0-9]{8}$'
    loop
      if part.upper <= now() then
        execute format('drop table {{schema}}.%I', part.relname);
      end if;
    end loop;
    for day in
      select distinct (now() at time zone 'UTC' + kept.ms * interval '1 millisecond')::date + ahead
        from (select q.completed_ms as ms from {{schema}}.queues as q union select q.cancelled_ms from {{schema}}.queues as q) as kept
       cross join generate_series(0, 1) as ahead
       where kept.ms > 0
    loop
      perform {{schema}}.make_partition(day);
    end loop;
  exception when insufficient_privilege or lock_not_available or deadlock_detected or check_violation or duplicate_table then
    problem := sqlerrm;
  end;
  perform set_config('lock_timeout', '0', true);
  return problem;
end $$;

-- The partition of what expires on a day, by UTC. What is there already without one moves.
create function {{schema}}.make_partition(day date) returns void language plpgsql as $$
declare
  name text := 'finished_' || to_char(day, 'YYYYMMDD');
  from_time timestamptz := day::timestamp at time zone 'UTC';
  to_time timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
  if exists (select from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
              where i.inhparent = '{{schema}}.finished'::regclass and c.relname = name) then
    return;
  end if;
  execute format('create table {{schema}}.%I (like {{schema}}.finished including defaults including constraints)', name);
  execute format('with moved as (delete from {{schema}}.finished_default where expires_at >= %L and expires_at < %L returning *)
                  insert into {{schema}}.%I select * from moved', from_time, to_time, name);
  execute format('alter table {{schema}}.finished attach partition {{schema}}.%I for values from (%L) to (%L)', name, from_time, to_time);
end $$;
