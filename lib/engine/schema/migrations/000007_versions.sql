-- Versions of payloads: jobs of a version that no worker knew which met them, parked until one comes that does.

alter table {{schema}}.jobs
  -- The version of its payload, while it waits for a worker that knows it. A job of a known version, or that nobody has looked at, has none.
  add column left_version integer;
-- Empty but for rolling deploys.
create index jobs_left on {{schema}}.jobs (queue_name, left_version) where left_version is not null;

-- Parks a job whose payload is of a version that its worker does not know, fenced by the token of the attempt. No attempt is spent.
create function {{schema}}.leave_job(of_job bigint, of_token bigint, version integer) returns boolean language plpgsql as $$
begin
  update {{schema}}.jobs as job
     set run_at = 'infinity', left_version = version, seq = nextval('{{schema}}.jobs_seq')
   where job.id = of_job and job.seq = of_token and job.run_at is null;
  return found;
end $$;

-- Makes jobs ready that were left to workers which know their version: the caller's queues, each with the newest version that it knows.
create function {{schema}}.take_up(queues text[], versions integer[], most integer) returns table (queue text) language plpgsql as $$
begin
  return query
    with known as (
      select k.queue_name, k.version from unnest(queues, versions) as k(queue_name, version)
    ), due as (
      select job.id from {{schema}}.jobs as job join known on known.queue_name = job.queue_name and job.left_version <= known.version
       where job.left_version is not null and job.run_at = 'infinity' and job.failed_at is null
       order by job.id
       limit most
         for update of job skip locked
    ), taken as (
      update {{schema}}.jobs as job set run_at = null, left_version = null, seq = nextval('{{schema}}.jobs_seq')
        from due where job.id = due.id
      returning job.queue_name
    )
    select distinct taken.queue_name from taken;
end $$;
