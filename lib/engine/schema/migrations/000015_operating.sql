-- What the dashboard and the command line look at: failures by what they have in common, numbers by the minute, bulk changes, and who did what.

-- The message of an error without what differs from one time to the next: ids, numbers, and what is quoted.
create function {{schema}}.error_pattern(message text) returns text language sql immutable parallel safe as $$
  select regexp_replace(regexp_replace(regexp_replace(
           left(split_part(message, E'\n', 1), 300),
           '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}', '#', 'g'),
           '"[^"]*"|''[^'']*''', '"…"', 'g'),
           '\m(0x[0-9a-fA-F]+|[0-9a-fA-F]*[0-9][0-9a-fA-F]*)\M', '#', 'g')
$$;

-- Where an error was thrown, without lines and columns: they move with every release.
create function {{schema}}.error_frame(stack text) returns text language sql immutable parallel safe as $$
  select regexp_replace(substring(stack from '\n\s+at ([^\n]*)'), ':[0-9]+', '', 'g')
$$;

-- The same for errors of the same kind: of one class, with the same message but for what differs each time, thrown at the same place.
create function {{schema}}.error_fingerprint(error jsonb) returns text language sql immutable parallel safe as $$
  select lpad(to_hex(hashtextextended(concat_ws(E'\n', error ->> 'name', {{schema}}.error_pattern(error ->> 'message'),
                                                {{schema}}.error_frame(error ->> 'stack')), 0)), 16, '0')
   where jsonb_typeof(error) = 'object'
$$;

-- Numbers ------------------------------------------------------------------------------------------------------------------------
-- What has happened to the jobs of a queue within a minute (step 1) or an hour (step 60), and what it held when somebody last looked. Written by
-- workers in batches, so a minute is complete some seconds after it is over.
create table {{schema}}.stats (
  step       smallint    not null,
  at         timestamptz not null,
  queue_name text collate "C" not null,
  completed  bigint not null default 0,
  -- For good.
  failed     bigint not null default 0,
  retried    bigint not null default 0,
  cancelled  bigint not null default 0,
  -- How many waited, and ran, for how long: by the buckets of the library.
  wait       bigint[] not null default '{}',
  run        bigint[] not null default '{}',
  -- null: nobody has looked.
  ready      integer,
  running    integer,
  scheduled  integer,
  dead       integer,
  oldest_ms  double precision,
  primary key (step, at, queue_name)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);

-- What the queues held when somebody last looked: one row.
create table {{schema}}.snapshot (
  id       boolean primary key default true check (id),
  -- When somebody began to look: nobody else does within a while.
  begun_at timestamptz not null default '-infinity',
  taken_at timestamptz,
  queues   jsonb not null default '[]'
);
insert into {{schema}}.snapshot default values;

-- The sum of two histograms, place by place.
create function {{schema}}.add_counts(a bigint[], b bigint[]) returns bigint[] language sql immutable parallel safe as $$
  select coalesce(array_agg(coalesce(x, 0) + coalesce(y, 0) order by place), '{}') from unnest(a, b) with ordinality as both_counts(x, y, place)
$$;
create aggregate {{schema}}.sum_counts(bigint[]) (sfunc = {{schema}}.add_counts, stype = bigint[], initcond = '{}');

-- Adds what has happened, `[{ q: queue, c: completed, f: failed, r: retried, x: cancelled, w: waits, u: runs }]`, to the minute and the hour that are
-- now. In one order, so that those who write at the same time never wait in a circle.
create function {{schema}}.record_stats(happened json) returns void language sql as $$
  insert into {{schema}}.stats as s (step, at, queue_name, completed, failed, retried, cancelled, wait, run)
  select steps.step, date_trunc(steps.unit, now()), e ->> 'q', (e ->> 'c')::bigint, (e ->> 'f')::bigint, (e ->> 'r')::bigint, (e ->> 'x')::bigint,
         array(select json_array_elements_text(e -> 'w')::bigint), array(select json_array_elements_text(e -> 'u')::bigint)
    from json_array_elements(happened) as e cross join (values (1::smallint, 'minute'), (60::smallint, 'hour')) as steps(step, unit)
   order by steps.step, e ->> 'q' collate "C"
  on conflict (step, at, queue_name) do update
    set completed = s.completed + excluded.completed, failed = s.failed + excluded.failed,
        retried = s.retried + excluded.retried, cancelled = s.cancelled + excluded.cancelled,
        wait = {{schema}}.add_counts(s.wait, excluded.wait), run = {{schema}}.add_counts(s.run, excluded.run)
$$;

-- Whether the caller is to look at the queues: nobody has begun to within so many milliseconds.
create function {{schema}}.begin_snapshot(older_than_ms double precision) returns boolean language sql as $$
  with due as (
    select from {{schema}}.snapshot where begun_at < now() - older_than_ms * interval '1 millisecond' for update skip locked
  ), begun as (
    update {{schema}}.snapshot set begun_at = now() where exists (select from due) returning true
  )
  select exists (select from begun)
$$;

-- What a queue holds. No count looks at more than `most` rows, and those in an index; whatever the planner believes of the table.
create function {{schema}}.look_at_queue(queue text, most integer) returns jsonb language plpgsql stable
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
declare
  leased bigint[];
  plain integer;
  grouped integer;
  scheduled integer;
  blocked integer;
  failed integer;
  retrying integer;
  oldest timestamptz;
begin
  leased := array(select job.id from {{schema}}.leases as lease cross join lateral unnest(lease.seqs, lease.ids) as held(seq, id)
                    join {{schema}}.jobs as job on job.id = held.id and job.seq = held.seq
                   where lease.queue_name = queue);
  select count(*) into plain from (select from {{schema}}.jobs as job
    where job.queue_name = queue and job.run_at is null and job.group_key is null limit most + cardinality(leased)) as looked;
  select count(*) into grouped from (select from {{schema}}.jobs as job
    where job.queue_name = queue and job.run_at is null and job.group_key is not null limit most + cardinality(leased)) as looked;
  select count(*) into scheduled from (select from {{schema}}.jobs as job
    where job.queue_name = queue and job.run_at < 'infinity' and job.failed_at is null limit most) as looked;
  select count(*) into blocked from (select from {{schema}}.jobs as job
    where job.queue_name = queue and job.run_at = 'infinity' and job.failed_at is null limit most) as looked;
  select count(*) into failed from (select from {{schema}}.jobs as job
    where job.queue_name = queue and job.failed_at is not null limit most) as looked;
  select count(*) filter (where looked.run_count > 0) into retrying from (select job.run_count from {{schema}}.jobs as job
    where job.queue_name = queue and job.run_at < 'infinity' and job.failed_at is null order by job.run_at limit 1000) as looked;
  -- The first of each lane, which jobs enter in the order in which they become ready; and the first there are, where nobody has opened a lane.
  select min(looked.since) into oldest from (
    (select coalesce(first.ready_at, first.created_at) as since from {{schema}}.lanes as lane cross join lateral (
       select * from {{schema}}.jobs as job
        where job.queue_name = lane.queue_name and job.priority = lane.priority and job.run_at is null and job.group_key is null and job.id <> all (leased)
        order by job.seq limit 1) as first where lane.queue_name = queue)
    union all
    (select coalesce(job.ready_at, job.created_at) from {{schema}}.jobs as job
      where job.queue_name = queue and job.run_at is null and job.group_key is null and job.id <> all (leased) order by job.priority, job.seq limit 100)
    union all
    (select coalesce(job.ready_at, job.created_at) from {{schema}}.jobs as job
      where job.queue_name = queue and job.run_at is null and job.group_key is not null and job.id <> all (leased) limit 1000)) as looked;
  return jsonb_build_object(
    'counts', jsonb_build_object('running', cardinality(leased), 'ready', least(most, greatest(0, plain + grouped - cardinality(leased))),
                                 'scheduled', scheduled, 'blocked', blocked, 'failed', failed),
    'retrying', retrying, 'oldestReadyMs', greatest(0, extract(epoch from now() - oldest) * 1000));
end $$;

-- Stores what the queues hold.
create function {{schema}}.store_snapshot(looked jsonb) returns void language plpgsql as $$
begin
  update {{schema}}.snapshot set taken_at = now(), queues = looked;
  insert into {{schema}}.stats as s (step, at, queue_name, ready, running, scheduled, dead, oldest_ms)
  select steps.step, date_trunc(steps.unit, now()), e ->> 'name', (e -> 'counts' ->> 'ready')::integer, (e -> 'counts' ->> 'running')::integer,
         (e -> 'counts' ->> 'scheduled')::integer, (e -> 'counts' ->> 'failed')::integer, (e ->> 'oldestReadyMs')::double precision
    from jsonb_array_elements(looked) as e cross join (values (1::smallint, 'minute'), (60::smallint, 'hour')) as steps(step, unit)
   order by steps.step, e ->> 'name' collate "C"
  on conflict (step, at, queue_name) do update
    set ready = excluded.ready, running = excluded.running, scheduled = excluded.scheduled, dead = excluded.dead, oldest_ms = excluded.oldest_ms;
end $$;

-- Bulk changes, and who did what ---------------------------------------------------------------------------------------------------
-- A change of many jobs that somebody has asked for: done part by part by the process that was asked, and followed from everywhere.
create table {{schema}}.operations (
  id         bigint generated always as identity primary key,
  action     text not null,
  -- What was asked for: filter, ids, options.
  asked      jsonb not null,
  by_whom    text,
  -- How many jobs matched at the beginning, at least.
  total      bigint,
  done       bigint not null default 0,
  created_at timestamptz not null default now(),
  -- It goes on: whoever does it says so again and again.
  alive_at   timestamptz not null default now(),
  ended_at   timestamptz,
  cancelled  boolean not null default false,
  error      text
);

create table {{schema}}.audit_log (
  id      bigint generated always as identity primary key,
  at      timestamptz not null default now(),
  action  text not null,
  by_whom text,
  ip      text,
  -- What it was done to: a queue, ids, a filter.
  target  jsonb not null default '{}',
  -- How many jobs it has changed; null: not known, or none.
  count   bigint
);

-- Forgets numbers, bulk changes and log lines that are too old.
create function {{schema}}.prune_stats() returns void language sql as $$
  delete from {{schema}}.stats where step = 1 and at < now() - interval '7 days';
  delete from {{schema}}.stats where step = 60 and at < now() - interval '90 days';
  delete from {{schema}}.operations where created_at < now() - interval '30 days';
  delete from {{schema}}.audit_log where at < now() - interval '90 days';
$$;
