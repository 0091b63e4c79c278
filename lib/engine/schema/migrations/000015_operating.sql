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
