-- Batches: jobs that are counted together, and what is enqueued when the last of them has ended. The table is of 000002_job_model.

-- Begins a batch. Jobs are added to it by the option `batch`, until the last of them has ended after it was closed.
create function {{schema}}.open_batch(callbacks jsonb) returns bigint language sql as $$
  insert into {{schema}}.batches (closed, callbacks) values (false, callbacks) returning id
$$;

-- No job is added from outside any more: the batch ends with the last of its jobs, or now. False: it was closed, or there is none.
create function {{schema}}.close_batch(batch bigint) returns boolean language plpgsql as $$
begin
  update {{schema}}.batches as b set closed = true where b.id = batch and not b.closed;
  if not found then
    return false;
  end if;
  perform {{schema}}.finish_batch(batch);
  return true;
end $$;

-- A batch from any language: `[{"queue", "payload", "options"}]`, options as those of enqueue(), and `{"finished", "succeeded", "failed"}` of what is
-- enqueued at its end, each `{"queue", "payload"}`. Answers with its id.
create function {{schema}}.enqueue_batch(jobs jsonb, callbacks jsonb default '{}') returns bigint language plpgsql as $$
declare
  batch bigint;
begin
  if jsonb_typeof(jobs) is distinct from 'array' or jsonb_typeof(callbacks) is distinct from 'object' then
    raise exception 'a batch is an array of jobs, and an object of callbacks' using errcode = '22023';
  end if;
  if callbacks - '{finished,succeeded,failed}'::text[] <> '{}' then
    raise exception 'unknown callback' using errcode = '22023', hint = 'Known: finished, succeeded, failed.';
  end if;
  -- Whoever counts the last end must be able to enqueue them.
  if exists (select from jsonb_each(callbacks) as given(name, callback)
              where coalesce(octet_length(callback ->> 'queue') not between 1 and 128 or callback ->> 'queue' ~ '[\u0001-\u001f\u007f-\u009f]', true)) then
    raise exception 'a callback needs a queue: 1 to 128 bytes of UTF-8 without control characters' using errcode = '22023';
  end if;
  batch := {{schema}}.open_batch((
    select coalesce(jsonb_object_agg(name, jsonb_build_object('q', callback ->> 'queue', 'p', coalesce(callback -> 'payload', '{}'))), '{}')
      from jsonb_each(callbacks) as given(name, callback)));
  perform {{schema}}.enqueue(job ->> 'queue', job -> 'payload', coalesce(job -> 'options', '{}') || jsonb_build_object('batch', batch))
     from jsonb_array_elements(jobs) as given(job);
  perform {{schema}}.close_batch(batch);
  return batch;
end $$;
