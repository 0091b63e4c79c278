import type { TestDatabase } from '../../support/test-database.js';

/** A day in the life of a shop: what pages and pictures show. Plain SQL, so that it is there at once. */
export async function playScene({ query, schema }: TestDatabase): Promise<void> {
  const t = `"${schema}"`;
  await query(`
    insert into ${t}.workers (name, host, pid, started_at, heartbeat_at, expires_at, version, queues)
    select 'default', 'web-' || n, 4200 + n, now() - n * interval '7 hours', now(), now() + interval '1 hour', '0.1.0',
           '{"emails": 10, "invoices": 5, "images.resize": 8, "webhooks": 20, "reports": 2}'::jsonb
      from generate_series(1, 3) as n`);
  await query(`
    insert into ${t}.jobs (queue_name, payload, created_at, run_at, failed_at, run_count, max_attempts, last_error, errors, priority, meta)
    select q.name, jsonb_build_object('to', 'ada' || n || '@example.com', 'template', 'welcome', 'user', jsonb_build_object('id', 1000 + n, 'plan', 'pro'), 'items', jsonb_build_array('a', 'b', n)),
           now() - (n % 23) * interval '55 minutes' - interval '4 minutes', 'infinity', now() - (n % 23) * interval '55 minutes', 3, 3, e.error,
           jsonb_build_array(e.error || jsonb_build_object('at', now() - (n % 23) * interval '55 minutes' - interval '3 minutes', 'attempt', 1, 'worker', 'web-1:4201'),
                             e.error || jsonb_build_object('at', now() - (n % 23) * interval '55 minutes' - interval '70 seconds', 'attempt', 2, 'worker', 'web-2:4202')),
           0, '{"tags": ["vip", "eu"], "headers": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}'
      from generate_series(1, 64) as n
     cross join lateral (select (array['emails', 'webhooks', 'invoices', 'webhooks'])[n % 4 + 1] as name) as q
     cross join lateral (select case n % 4
        when 0 then jsonb_build_object('name', 'Error', 'code', 'ECONNRESET', 'message', 'connect ECONNRESET 10.0.3.' || n || ':587', 'stack', E'Error: connect ECONNRESET\\n    at Mailer.send (/app/src/mail/mailer.ts:41:11)\\n    at MailHandlers.send (/app/src/mail/mail.handlers.ts:18:5)\\n    at run (/app/node_modules/nestjs-taskmaster/dist/a.js:1:1)')
        when 2 then jsonb_build_object('name', 'InvoiceError', 'message', 'Invoice ' || (9000 + n) || ' has no tax number', 'stack', E'InvoiceError: x\\n    at InvoiceService.close (/app/src/invoices/invoice.service.ts:77:13)', 'cause', jsonb_build_object('name', 'TypeError', 'message', 'Cannot read properties of null (reading ''vat'')', 'stack', E'TypeError: x\\n    at vatOf (/app/src/invoices/vat.ts:9:3)'))
        else jsonb_build_object('name', 'HttpError', 'code', '503', 'message', 'POST https://hooks.example.com/' || n || ' answered 503', 'stack', E'HttpError: x\\n    at Webhooks.deliver (/app/src/webhooks/webhooks.ts:22:9)') end as error) as e`);
  await query(`
    insert into ${t}.jobs (queue_name, payload, created_at, run_at, run_count)
    select (array['emails', 'webhooks', 'reports', 'images.resize', 'images.thumbs'])[n % 5 + 1], jsonb_build_object('n', n, 'to', 'bob' || n || '@example.com'), now() - n * interval '300 milliseconds',
           case when n % 3 = 0 then now() + n * interval '2 minutes' end, case when n % 6 = 0 then 1 else 0 end
      from generate_series(1, 150) as n`);
  await query(`
    with claimed as (
      select id, seq from ${t}.jobs where queue_name = 'images.resize' and run_at is null order by seq limit 5
    )
    insert into ${t}.leases (worker_id, queue_name, priority, claimed_at, seqs, ids)
    select (select min(id) from ${t}.workers), 'images.resize', 0, now() - interval '12 seconds', array_agg(seq order by seq), array_agg(id order by seq) from claimed`);
  await query(`
    with made as (
      insert into ${t}.jobs (queue_name, payload, run_at, wait_count)
      select (array['orders.pay', 'orders.pack', 'orders.ship', 'emails', 'invoices', 'reports'])[n], '{"order": 812}',
             case when n > 1 then 'infinity'::timestamptz end, case when n = 1 then 0 else 1 end
        from generate_series(1, 6) as n returning id
    ), ids as (select array_agg(id order by id) as it from made)
    insert into ${t}.dependencies (parent_id, child_id)
    select it[parent], it[child] from ids, (values (1, 2), (1, 5), (2, 3), (3, 4), (5, 4), (4, 6)) as edge(parent, child)`);
  await query(`
    insert into ${t}.stats (step, at, queue_name, completed, failed, retried, wait, run, ready, running, scheduled, dead, oldest_ms)
    select s.step, date_trunc(s.unit, now()) - n * s.length, q.name,
           (s.scale * q.rate * (1 + 0.35 * sin(n / 9.0 + q.phase) + 0.2 * sin(n / 2.3 + q.phase * 3)))::bigint,
           (s.scale * q.rate * 0.02 * (1 + sin(n / 5.0 + q.phase)))::bigint + case when n between 18 and 22 then (s.scale * q.rate * 0.15)::bigint else 0 end,
           (s.scale * q.rate * 0.03 * (1 + cos(n / 4.0)))::bigint,
           array[40, 30 + n % 7, 20, 10, 5 + n % 5, 2, 1 + case when n between 18 and 22 then 14 else 0 end, 1, 0, 0, 0, 0, 0, 0, 0, 0]::bigint[],
           array[2, 4, 18, 40, 26 + n % 9, 10, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0]::bigint[],
           (q.rate * (1.5 + sin(n / 7.0 + q.phase)) + case when n between 15 and 24 then q.rate * 2 else 0 end)::integer, (q.rate / 4)::integer, (q.rate * 1.2)::integer, (20 - n / 8)::integer, 900
      from (values (1::smallint, 'minute', interval '1 minute', 1.0, 400), (60::smallint, 'hour', interval '1 hour', 60.0, 800)) as s(step, unit, length, scale, most)
     cross join lateral generate_series(0, s.most) as n
     cross join (values ('emails', 42.0, 0.0), ('webhooks', 30.0, 1.1), ('images.resize', 18.0, 2.3), ('invoices', 9.0, 3.7), ('reports', 2.0, 5.0)) as q(name, rate, phase)
    on conflict do nothing`);
  await query(`
    insert into ${t}.audit_log (at, action, by_whom, ip, target, count)
    select now() - n * interval '17 minutes', (array['jobs.retry', 'queues.pause', 'queues.resume', 'jobs.bulk'])[n % 4 + 1], (array['ada', 'grace'])[n % 2 + 1], '10.1.0.' || n,
           jsonb_build_object('queue', 'emails'), case when n % 4 in (0, 3) then n * 7 end
      from generate_series(1, 9) as n`);
  await query(`select ${t}.pause('reports', null, 'The numbers of October are wrong', 'grace')`);
}
