-- Events of all processes, for those who watch: written only while somebody does, and kept for minutes.

-- One row a watcher. Who watches says so again and again, until `expires_at`; whoever comes back before then has missed nothing.
create table {{schema}}.watchers (
  id         bigint generated always as identity primary key,
  -- What is watched; null: everything.
  queues     text[],
  job_ids    bigint[],
  types      text[],
  expires_at timestamptz not null
);

create table {{schema}}.watched_events (
  -- In the order in which they become visible: see record_events().
  id         bigint generated always as identity primary key,
  at         timestamptz not null default clock_timestamp(),
  type       text not null,
  queue_name text collate "C",
  job_id     bigint,
  event      jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, vacuum_truncate = off);
create index watched_events_at on {{schema}}.watched_events (at);

-- Begins to watch, or goes on: for so many milliseconds. `resumed`: this watcher was known and nothing was forgotten since; `last`: the newest
-- event there is.
create function {{schema}}.watch_events(watcher bigint, queues text[], job_ids bigint[], types text[], keep_ms double precision)
returns table (id bigint, resumed boolean, last bigint) language plpgsql as $$
begin
  update {{schema}}.watchers as w set expires_at = now() + keep_ms * interval '1 millisecond'
   where w.id = watcher and w.expires_at > now()
     and (w.queues, w.job_ids, w.types) is not distinct from (watch_events.queues, watch_events.job_ids, watch_events.types);
  resumed := found;
  id := watcher;
  if not resumed then
    insert into {{schema}}.watchers as w (queues, job_ids, types, expires_at)
    values (watch_events.queues, watch_events.job_ids, watch_events.types, now() + keep_ms * interval '1 millisecond')
    returning w.id into id;
    perform pg_notify('{{channel}}', E'\x01watch:') where pg_notification_queue_usage() < 0.5;
  end if;
  select coalesce(max(e.id), 0) into last from {{schema}}.watched_events as e;
  return next;
end $$;

-- Who watches what; forgets watchers that are gone, and events that nobody can come back for any more.
create function {{schema}}.live_watchers() returns table (queues text[], job_ids text[], types text[]) language plpgsql as $$
begin
  delete from {{schema}}.watchers as w where w.expires_at < now();
  delete from {{schema}}.watched_events as e where e.id = any (array(
    select old.id from {{schema}}.watched_events as old where old.at < now() - interval '10 minutes' order by old.at limit 10000));
  return query select w.queues, w.job_ids::text[], w.types from {{schema}}.watchers as w;
end $$;

-- Stores events `[{ t: type, q: queue, j: job id, e: event }]`. The lock makes the order of the ids the order in which they become visible: it is held
-- from before the first id is drawn until the commit, so whoever has read an id has seen all before it.
create function {{schema}}.record_events(recorded json) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1413830743, hashtext('{{channel}}'));
  insert into {{schema}}.watched_events (type, queue_name, job_id, event)
  select e ->> 't', e ->> 'q', (e ->> 'j')::bigint, (e -> 'e')::jsonb
    from json_array_elements(recorded) with ordinality as new(e, place) order by place;
  perform pg_notify('{{channel}}', E'\x01watched:') where pg_notification_queue_usage() < 0.5;
end $$;
